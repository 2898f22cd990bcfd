/* A model.safetensors with any header. */
#include <stdint.h>

#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tensor_table table;
    struct error err;
    size_t length;
    if (size < 8 || tensor_table_header_length(data, size, &length, &err) != ERR_OK ||
        tensor_table_parse(&table, (const char *)data + 8, length, size, &err) != ERR_OK)
        return 0;
    tensor_table_destroy(&table);
    return 0;
}
