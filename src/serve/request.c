#include "serve/request.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/size.h"

int request_create(struct request **out, size_t model, int top_k, size_t part_count,
                   uint8_t *upload, struct error *err)
{
    CHECK(top_k > 0 && part_count > 0);
    size_t predictions;
    struct request *r = calloc(1, sizeof *r);
    if (!r || !size_mul(part_count, (size_t)top_k, &predictions))
        goto fail;
    r->parts = calloc(part_count, sizeof *r->parts);
    r->predictions = calloc(predictions, sizeof *r->predictions);
    if (!r->parts || !r->predictions)
        goto fail;
    for (size_t i = 0; i < part_count; i++)
        r->parts[i].predictions = r->predictions + i * (size_t)top_k;
    r->model = model;
    r->top_k = top_k;
    r->part_count = part_count;
    r->upload = upload;
    atomic_init(&r->outcome, REQUEST_PENDING);
    atomic_init(&r->references, 1);
    *out = r;
    return ERR_OK;
fail:
    if (r) {
        free(r->parts);
        free(r->predictions);
    }
    free(r);
    return error_set(err, ERR_NO_MEMORY, "no memory for a request; try again");
}

void request_reference(struct request *request)
{
    atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
}

void request_release(struct request *request)
{
    if (!request || atomic_fetch_sub_explicit(&request->references, 1, memory_order_acq_rel) > 1)
        return;
    free(request->upload);
    free(request->predictions);
    free(request->parts);
    free(request);
}

bool request_finish(struct request *request, int outcome)
{
    CHECK(outcome <= ERR_OK);
    int pending = REQUEST_PENDING;
    if (!atomic_compare_exchange_strong_explicit(&request->outcome, &pending, outcome,
                                                 memory_order_acq_rel, memory_order_acquire))
        return false;
    request->done(request);
    return true;
}

int request_outcome(const struct request *request)
{
    return atomic_load_explicit(&request->outcome, memory_order_acquire);
}
