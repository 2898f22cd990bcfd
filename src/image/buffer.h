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

/* Makes space for `count` elements of `element` bytes, without keeping what was there; new
 * memory is zeroed.
 * ERR_NO_MEMORY leaves the buffer empty. */
int buffer_reserve(struct buffer *buffer, size_t count, size_t element, struct error *err);

/* Gives the memory back if there is more than `limit` bytes of it. */
void buffer_trim(struct buffer *buffer, size_t limit);

void buffer_free(struct buffer *buffer);

#endif
