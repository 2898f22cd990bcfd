/* A config.json with any content. */
#include <stdint.h>

#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_config config;
    struct error err;
    if (model_config_parse(&config, (const char *)data, size, 12, &err) == ERR_OK)
        model_config_destroy(&config);
    return 0;
}
