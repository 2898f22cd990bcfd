/* Memory that grows and is reused from picture to picture. One thread at a time. */
#ifndef RESNEXT_IMAGE_BUFFER_H
#define RESNEXT_IMAGE_BUFFER_H

#include <stddef.h>

#include "base/error.h"

/* A zeroed struct is an empty buffer. */
struct buffer {
    void *data;
    size_t size;
};

/* Makes space for `count` elements of `element` bytes. The contents may be lost; new memory is
 * zeroed. ERR_NO_MEMORY leaves the buffer empty. */
int buffer_reserve(struct buffer *buffer, size_t count, size_t element, struct error *err);

/* Frees the memory if it is more than `limit` bytes. */
void buffer_trim(struct buffer *buffer, size_t limit);

void buffer_free(struct buffer *buffer);

#endif
