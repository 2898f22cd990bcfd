#include "serve/completion.h"

#include "base/check.h"
#include "base/error.h"

void completion_init(struct completion *completion)
{
    *completion = (struct completion){0};
    atomic_init(&completion->outcome, COMPLETION_PENDING);
    atomic_init(&completion->references, 1);
}

void completion_reference(struct completion *completion)
{
    atomic_fetch_add_explicit(&completion->references, 1, memory_order_relaxed);
}

bool completion_release(struct completion *completion)
{
    return atomic_fetch_sub_explicit(&completion->references, 1, memory_order_acq_rel) == 1;
}

bool completion_finish(struct completion *completion, int outcome)
{
    CHECK(outcome <= ERR_OK);
    int pending = COMPLETION_PENDING;
    if (!atomic_compare_exchange_strong_explicit(&completion->outcome, &pending, outcome,
                                                 memory_order_acq_rel, memory_order_acquire))
        return false;
    completion->done(completion->waiter);
    return true;
}

int completion_outcome(const struct completion *completion)
{
    return atomic_load_explicit(&completion->outcome, memory_order_acquire);
}
