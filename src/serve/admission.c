#include "serve/admission.h"

#include <stdlib.h>

#include "base/clock.h"

enum { WEIGHT = 8, RETRY_MAX_S = 3600 };

void admission_learn(struct served_model *entry, int64_t ns)
{
    /* Two workers at once may lose one of two measurements: there will be others. */
    int64_t old = atomic_load_explicit(&entry->picture_ns, memory_order_relaxed);
    int64_t next = old <= 0 ? ns : old + (ns - old) / WEIGHT;
    atomic_store_explicit(&entry->picture_ns, next, memory_order_relaxed);
}

void admission_learn_min(struct served_model *entry, int64_t ns)
{
    if (ns <= admission_expected_ns(entry, 1))
        return;
    if (atomic_load_explicit(&entry->picture_ns, memory_order_relaxed) > 0)
        admission_learn(entry, ns);
    else
        atomic_store_explicit(&entry->picture_ns, -ns, memory_order_relaxed);
}

int64_t admission_expected_ns(const struct served_model *entry, size_t pictures)
{
    return llabs(atomic_load_explicit(&entry->picture_ns, memory_order_relaxed)) *
           (int64_t)pictures;
}

int64_t admission_wait_ns(const struct admission_work *work, size_t depth, int64_t queued_ns)
{
    if (work->busy + (int64_t)depth < work->workers)
        return 0;
    return (queued_ns + work->remaining_ns) / work->workers;
}

int admission_retry_after_s(int64_t wait_ns)
{
    int64_t seconds = (wait_ns + NS_PER_S - 1) / NS_PER_S;
    return seconds < 1 ? 1 : seconds > RETRY_MAX_S ? RETRY_MAX_S : (int)seconds;
}
