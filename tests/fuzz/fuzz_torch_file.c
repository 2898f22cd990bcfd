/* A checkpoint with any bytes, in either form: it is opened, its state dict chosen, and its tensors
 * read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/import.h"
#include "model/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { READ_ITEMS = 64, READ_ELEMENTS = 1 << 16 };

static void read_tensor(struct torch_file *file, const struct pickle_value *value)
{
    struct torch_tensor tensor;
    if (!torch_is_tensor(value) || torch_file_tensor(file, value, "a", &tensor, NULL) != ERR_OK ||
        tensor.elements > READ_ELEMENTS)
        return;
    float *numbers = malloc((tensor.elements + 1) * sizeof *numbers);
    if (numbers)
        torch_file_read(file, &tensor, "a", numbers, NULL);
    free(numbers);
}

static void read_tensors(const char *path)
{
    struct torch_file *file;
    if (torch_file_open(&file, path, NULL) != ERR_OK)
        return;
    const struct pickle_value *root = torch_file_root(file);
    const struct pickle_item *item = pickle_is_mapping(root) ? root->first : NULL;
    for (int n = 0; item && n < READ_ITEMS; n++, item = item->next)
        read_tensor(file, item->value);
    torch_file_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    struct import *import;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    read_tensors(path);
    if (import_open(&import, path, NULL, NULL) == ERR_OK)
        import_close(import);
    close(fd);
    return 0;
}
