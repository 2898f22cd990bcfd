/* A template by name or by numbers, and the layers that it stands for. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[TEMPLATE_NAME_MAX], *text = strndup((const char *)data, size);
    struct template t;
    struct layer *layers;
    struct error err;
    size_t count;
    if (text && template_from_name(text, &t, &err) == ERR_OK) {
        template_name(&t, name);
        if (template_layers(&t, &layers, &count, &err) == ERR_OK) {
            CHECK(layers_are_sound(layers, count));
            free(layers);
        }
    }
    free(text);
    return 0;
}
