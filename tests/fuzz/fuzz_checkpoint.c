/* A model.safetensors with any tensors: which network they make, and whether they are all there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Layers of every variant that tensors do not show are sound, or refused. */
static void make_layers(const struct tensor_table *table, struct template *t)
{
    struct layer *layers;
    size_t count;
    struct error err;
    for (int i = 0; i < 6; i++) {
        t->antialias = (enum antialias)(i % 3);
        t->stride_first = i / 3;
        if (template_layers(t, &layers, &count, &err) != ERR_OK)
            continue;
        CHECK(layers_are_sound(layers, count));
        checkpoint_check(table, layers, count, &err);
        free(layers);
    }
}

/* The input is a header behind four bytes that say how much data follows in the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct template t = {.input_size = 224};
    struct tensor_table table;
    struct error err;
    if (size < 4)
        return 0;
    uint32_t bytes;
    memcpy(&bytes, data, sizeof bytes);
    if (tensor_table_parse(&table, (const char *)data + 4, size - 4, 4 + (uint64_t)size + bytes,
                           &err))
        return 0;
    if (checkpoint_template(&table, &t, &err) == ERR_OK) {
        make_layers(&table, &t);
        template_make_legacy(&t);
        make_layers(&table, &t);
    }
    tensor_table_destroy(&table);
    return 0;
}
