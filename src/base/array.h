/* Arrays that grow as they are filled. */
#ifndef RESNEXT_BASE_ARRAY_H
#define RESNEXT_BASE_ARRAY_H

#include <stddef.h>

/* Makes space for one more element. `items`, from malloc or NULL, holds `count` elements of `size`
 * bytes and has memory for *capacity. Returns it, moved if need be; NULL without memory, and
 * `items` stays as it is. */
void *array_grow(void *items, size_t count, size_t *capacity, size_t size);

#endif
