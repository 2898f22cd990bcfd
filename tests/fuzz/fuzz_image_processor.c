/* A preprocessor_config.json with any content. */
#include <stdint.h>
#include <stdlib.h>

#include "model/image_processor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct preprocess_spec spec;
    struct error err;
    if (image_processor_parse(&spec, (const char *)data, size, &err) == ERR_OK &&
        !(1 <= spec.size && spec.size <= spec.resize && spec.resize <= 4096))
        abort();
    return 0;
}
