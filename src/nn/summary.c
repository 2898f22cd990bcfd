#include "nn/summary.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

static bool lists(const char *names, const char *name)
{
    size_t length = strlen(name);
    for (;; names++) {
        size_t next = strcspn(names, "+");
        if (next == length && memcmp(names, name, length) == 0)
            return true;
        names += next;
        if (!*names)
            return false;
    }
}

void network_summary_add(struct network_summary *summary, const struct conv_kernel *kernel,
                         const struct conv_shape *shape)
{
    char *names = shape->groups > 1 ? summary->grouped : summary->dense;
    const char *name = kernel_runs_on(kernel);
    if (lists(names, name))
        return;
    size_t used = strlen(names), space = NETWORK_SUMMARY_NAMES - used;
    int length = snprintf(names + used, space, "%s%s", used ? "+" : "", name);
    CHECK(length >= 0 && (size_t)length < space);
}

void network_summary_text(const struct network_summary *s, char text[NETWORK_SUMMARY_TEXT])
{
    snprintf(text, NETWORK_SUMMARY_TEXT, "dense %s%s%s", s->dense, *s->grouped ? ", grouped " : "",
             s->grouped);
}
