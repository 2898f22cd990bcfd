#include "serve/request.h"

#include <stdlib.h>

#include "base/check.h"
#include "serve/generation.h"

static void free_results(struct request *r)
{
    for (size_t i = 0; i < r->part_count; i++) {
        struct request_part *part = &r->parts[i];
        free(part->values);
        free(part->picture);
        part->values = NULL;
        part->picture = NULL;
        part->predictions = NULL;
    }
    free(r->predictions);
    r->predictions = NULL;
    if (r->results_size > 0)
        bodies_return(r->bodies, r->results_size);
    r->results_size = 0;
}

static void free_parts(struct request *r)
{
    free_results(r);
    free(r->parts);
    r->parts = NULL;
    r->part_count = 0;
}

static void free_upload(struct request *r)
{
    if (r->upload_size > 0)
        bodies_return(r->bodies, r->upload_size);
    free(r->upload);
    r->upload = NULL;
    r->upload_size = 0;
}

void request_shed(struct request *request)
{
    free_results(request);
    free_upload(request);
}

int request_set_parts(struct request *r, size_t part_count, int top_k, struct error *err)
{
    CHECK(top_k > 0 && part_count > 0);
    free_parts(r);
    if ((size_t)top_k > REQUEST_PREDICTIONS_MAX / part_count)
        return error_set(err, ERR_PARAMETER,
                         "%zu pictures with %d classes each are more than the %d predictions an "
                         "answer may have; ask for fewer classes, or send fewer pictures a request",
                         part_count, top_k, REQUEST_PREDICTIONS_MAX);
    r->parts = calloc(part_count, sizeof *r->parts);
    if (!r->parts)
        return error_set(err, ERR_NO_MEMORY, "no memory for a request; try again");
    r->part_count = part_count;
    r->top_k = top_k;
    return ERR_OK;
}

int request_count_results(struct request *r, size_t bytes, struct error *err)
{
    size_t needed = r->results_size + bytes;
    if (bodies_grow(r->bodies, r->results_size, needed, needed, needed) < needed)
        return error_set(err, ERR_OVERLOADED,
                         "the results do not fit beside the bodies that are in memory "
                         "(max_body_bytes, queue_limit); try again later, or ask for less");
    r->results_size = needed;
    return ERR_OK;
}

static int reserve(struct request *r, void **out, size_t count, size_t size, struct error *err)
{
    int code = request_count_results(r, count * size, err);
    if (code != ERR_OK)
        return code;
    *out = calloc(count, size);
    return *out ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for the results; try again");
}

int request_reserve_predictions(struct request *r, struct error *err)
{
    void *memory;
    size_t top_k = (size_t)r->top_k;
    int code = reserve(r, &memory, r->part_count * top_k, sizeof *r->predictions, err);
    if (code != ERR_OK)
        return code;
    r->predictions = memory;
    for (size_t i = 0; i < r->part_count; i++)
        r->parts[i].predictions = r->predictions + i * top_k;
    return ERR_OK;
}

int request_reserve_values(struct request *r, struct request_part *part, size_t count,
                           struct error *err)
{
    void *memory;
    int code = reserve(r, &memory, count, sizeof *part->values, err);
    if (code != ERR_OK)
        return code;
    part->values = memory;
    part->value_count = count;
    return ERR_OK;
}

int request_create(struct request **out, struct generation *generation, size_t model, int top_k,
                   size_t part_count, uint8_t *upload, struct error *err)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(err, ERR_NO_MEMORY, "no memory for a request; try again");
    int code = part_count > 0 ? request_set_parts(r, part_count, top_k, err) : ERR_OK;
    if (code != ERR_OK) {
        free(r);
        return code;
    }
    completion_init(&r->completion);
    r->generation = generation;
    generation_reference(generation);
    r->model = model;
    r->upload = upload;
    *out = r;
    return ERR_OK;
}

void request_release(struct request *request)
{
    if (!request || !completion_release(&request->completion))
        return;
    if (request->codec)
        request->codec->release(request);
    free_parts(request);
    free(request->class_name);
    generation_release(request->generation);
    free_upload(request);
    answer_free(&request->answer);
    free(request);
}

struct request_times request_times(const struct request *request)
{
    struct request_times t = {.queue_ns = request->started_ns - request->queued_ns};
    for (size_t i = 0; i < request->part_count; i++) {
        t.decode_ns += request->parts[i].decode_ns;
        t.preprocess_ns += request->parts[i].preprocess_ns;
        t.inference_ns += request->parts[i].inference_ns;
    }
    return t;
}
