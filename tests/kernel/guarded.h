/* Memory between two inaccessible guard pages. */
#ifndef RESNEXT_TESTS_KERNEL_GUARDED_H
#define RESNEXT_TESTS_KERNEL_GUARDED_H

#include <stdbool.h>
#include <stddef.h>

struct guarded {
    unsigned char *map, *data; /* data: aligned to 64 bytes */
    size_t mapped, size;
    unsigned char filling; /* the initial value of all bytes */
};

/* `size` bytes and `slack` more; the guard page follows after 63 bytes at most. */
struct guarded guarded_create(size_t size, size_t slack, unsigned char filling);

/* Whether nothing was written around the `size` bytes. */
bool guarded_intact(const struct guarded *guarded);
void guarded_destroy(struct guarded *guarded);

#endif
