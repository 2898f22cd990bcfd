/* A config.json with any content, of a network with one output, and of one with several and a
 * preprocessor_config.json beside it. */
#include <stdint.h>

#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t outputs[] = {1, 12};
    static const struct preprocess_spec processor = {.size = 224, .resize = 256};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        struct model_config config;
        struct error err;
        if (model_config_parse(&config, (const char *)data, size, i == 1 ? &processor : NULL,
                               outputs[i], &err) == ERR_OK)
            model_config_destroy(&config);
    }
    return 0;
}
