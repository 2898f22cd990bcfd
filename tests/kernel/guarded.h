/* Memory between two pages that nobody may touch. */
#ifndef RESNEXT_TESTS_KERNEL_GUARDED_H
#define RESNEXT_TESTS_KERNEL_GUARDED_H

#include <stdbool.h>
#include <stddef.h>

struct guarded {
    unsigned char *map, *data; /* data: aligned to 64 bytes */
    size_t mapped, size;
    unsigned char filling; /* of everything at first */
};

/* `size` bytes; at most 63 bytes behind the `slack` that follow them lies the forbidden page. */
struct guarded guarded_create(size_t size, size_t slack, unsigned char filling);

/* Whether nothing was written around the `size` bytes. */
bool guarded_intact(const struct guarded *guarded);
void guarded_destroy(struct guarded *guarded);

#endif
