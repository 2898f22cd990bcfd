#include "tests/kernel/guarded.h"

#include <check.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, ALIGNMENT = 64 };

struct guarded guarded_create(size_t size, size_t slack, unsigned char filling)
{
    size_t space = (size + slack + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    size_t usable = (space + PAGE - 1) / PAGE * PAGE;
    struct guarded g = {.mapped = usable + 2 * PAGE, .size = size, .filling = filling};
    void *map = mmap(NULL, g.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    g.map = map;
    ck_assert_int_eq(mprotect(g.map + PAGE, usable, PROT_READ | PROT_WRITE), 0);
    memset(g.map + PAGE, filling, usable);
    g.data = g.map + PAGE + usable - space;
    return g;
}

static bool is_filled(const struct guarded *g, const unsigned char *begin, const unsigned char *end)
{
    while (begin < end && *begin == g->filling)
        begin++;
    return begin == end;
}

bool guarded_intact(const struct guarded *g)
{
    return is_filled(g, g->map + PAGE, g->data) &&
           is_filled(g, g->data + g->size, g->map + g->mapped - PAGE);
}

void guarded_destroy(struct guarded *g)
{
    munmap(g->map, g->mapped);
}
