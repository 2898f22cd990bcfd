/* How much memory this process may take: the machine's, or what its cgroups allow. Any thread. */
#ifndef RESNEXT_BASE_MEMORY_H
#define RESNEXT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Pages of this process: all that are mapped, those in memory, and those of these that are a file's
 * or shared. False if that is not known. */
bool memory_pages(unsigned long pages[3]);

/* Bytes this process holds that cannot be read again from a file; 0 if that is not known. */
uint64_t memory_held(void);

/* The machine's bytes, or fewer if a cgroup allows no more. */
uint64_t memory_limit(void);

/* Whether there are `size` more bytes, all of which will be touched. ERR_NO_MEMORY has the sizes.
 * What others take in the meantime is not known; nothing is reserved. */
int memory_check(size_t size, struct error *err);

#endif
