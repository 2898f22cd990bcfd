/* A labels.txt with any content. */
#include <stdint.h>

#include "model/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct label_list list = {0};
    struct error err;
    labels_parse(&list, (const char *)data, size, &err);
    label_list_destroy(&list);
    return 0;
}
