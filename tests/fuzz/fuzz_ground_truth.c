/* A table of labels with any content, of a network with a few classes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tool/ground_truth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *labels[] = {"cat", "dog; or wolf", "a, b"};
    const struct model model = {.classes = 3, .labels = labels};
    const struct class_names names = {.model = &model};
    struct error err;
    for (int many = 0; many < 2; many++) {
        struct ground_truth truth = {0};
        char *text = malloc(size + 1);
        if (!text)
            return 0;
        if (size > 0)
            memcpy(text, data, size);
        text[size] = '\0';
        ground_truth_parse(&truth, text, size, "root", &names, many, &err);
        ground_truth_free(&truth);
        free(text);
    }
    return 0;
}
