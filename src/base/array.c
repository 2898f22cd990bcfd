#include "base/array.h"

#include <stdlib.h>

enum { FIRST = 64 };

void *array_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    size_t more = *capacity ? 2 * *capacity : FIRST;
    void *moved = reallocarray(items, more, size);
    if (moved)
        *capacity = more;
    return moved;
}
