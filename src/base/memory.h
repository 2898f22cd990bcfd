/* How much memory this process may take: the machine's, or what its cgroups allow. Any thread. */
#ifndef RESNEXT_BASE_MEMORY_H
#define RESNEXT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Pages of this process: all mapped ones, those in memory, and the part of these that belongs to
 * files or is shared. False if unknown. */
bool memory_pages(unsigned long pages[3]);

/* Bytes in memory that cannot be read again from a file; 0 if unknown. */
uint64_t memory_held(void);

/* The machine's memory in bytes, or a cgroup's limit if that is smaller. */
uint64_t memory_limit(void);

/* Checks that `size` more bytes are available, all of which will be touched. The message of
 * ERR_NO_MEMORY has the sizes. Nothing is reserved: other processes may take the memory meanwhile.
 */
int memory_check(size_t size, struct error *err);

#endif
