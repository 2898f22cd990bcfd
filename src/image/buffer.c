#include "image/buffer.h"

#include <stdlib.h>

#include "base/size.h"

int buffer_reserve(struct buffer *buffer, size_t count, size_t element, struct error *err)
{
    size_t size;
    if (!size_mul(count, element, &size))
        return error_set(err, ERR_NO_MEMORY, "%zu elements of %zu bytes do not fit in memory",
                         count, element);
    if (size <= buffer->size)
        return ERR_OK;
    buffer_free(buffer);
    buffer->data = calloc(size, 1);
    if (!buffer->data)
        return error_set(err, ERR_NO_MEMORY, "no memory for a picture buffer of %zu bytes", size);
    buffer->size = size;
    return ERR_OK;
}

void buffer_trim(struct buffer *buffer, size_t limit)
{
    if (buffer->size > limit)
        buffer_free(buffer);
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
