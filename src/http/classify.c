/* POST /classify. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "http/arguments.h"
#include "http/handlers.h"
#include "http/reply.h"
#include "http/work.h"

static int read_parameters(struct exchange *x, int *top_k, struct error *err)
{
    struct argument a[] = {{"top_k", NULL}, {"model", NULL}};
    int code = arguments_read(x, a, sizeof a / sizeof a[0], err);
    if (code == ERR_OK)
        code = work_choose_model(x, a[1].value, err);
    if (code != ERR_OK)
        return code;
    int classes = x->model->classes, wanted = (int)x->conf->top_k;
    *top_k = a[0].value ? arguments_count(a[0].value) : wanted < classes ? wanted : classes;
    if (*top_k < 1 || *top_k > classes)
        return error_set(err, ERR_PARAMETER, "top_k must be a number from 1 to %d", classes);
    return ERR_OK;
}

enum MHD_Result classify_answer(struct exchange *x)
{
    struct error err;
    int top_k;
    int code = read_parameters(x, &top_k, &err);
    if (code == ERR_OK)
        code = work_make(x, REQUEST_CLASSIFY, top_k, &err);
    return code == ERR_OK ? work_submit(x) : reply_error(x, &err);
}

/* Milliseconds with three decimals. */
static json_t *milliseconds(int64_t ns)
{
    return json_real(round((double)ns / 1e3) / 1e3);
}

static json_t *timing(const struct request *r)
{
    int64_t decode = 0, preprocess = 0, inference = 0;
    for (size_t i = 0; i < r->part_count; i++) {
        decode += r->parts[i].decode_ns;
        preprocess += r->parts[i].preprocess_ns;
        inference += r->parts[i].inference_ns;
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "queue",
                     milliseconds(r->started_ns - r->queued_ns), "decode", milliseconds(decode),
                     "preprocess", milliseconds(preprocess), "inference", milliseconds(inference),
                     "total", milliseconds(clock_monotonic_ns() - r->queued_ns));
}

static json_t *predictions(const struct request_part *part, int top_k)
{
    json_t *list = json_array();
    for (int i = 0; i < top_k; i++) {
        const struct scored_class *p = &part->predictions[i];
        json_t *one = json_pack("{s:i, s:o, s:f}", "class_id", p->class_id, "label",
                                reply_string((struct slice){p->label, strlen(p->label)}), "score",
                                (double)p->score);
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *image(const struct request_part *part)
{
    return json_pack("{s:i, s:i}", "width", part->width, "height", part->height);
}

/* One picture: its predictions stand at the top. */
static enum MHD_Result reply_one(struct exchange *x)
{
    const struct request *r = x->request;
    if (r->parts[0].error.code != ERR_OK)
        return reply_error(x, &r->parts[0].error);
    return reply_json(x, 200,
                      json_pack("{s:s, s:s, s:o, s:o, s:o}", "model", x->model->name, "request_id",
                                x->id, "predictions", predictions(&r->parts[0], r->top_k), "image",
                                image(&r->parts[0]), "timing_ms", timing(r)));
}

static json_t *result(const struct multipart_part *sent, const struct request_part *part, int top_k)
{
    json_t *name = reply_string(sent->file_name.length > 0 ? sent->file_name : sent->name);
    if (part->error.code != ERR_OK)
        return json_pack("{s:o, s:o}", "part", name, "error", reply_error_object(&part->error));
    return json_pack("{s:o, s:o, s:o}", "part", name, "predictions", predictions(part, top_k),
                     "image", image(part));
}

/* The code of an answer in which every part failed: one of ours if we are to blame for any. */
static enum error_code shared_failure(const struct request *r)
{
    for (size_t i = 0; i < r->part_count; i++)
        if (error_status(r->parts[i].error.code) >= 500)
            return r->parts[i].error.code;
    return ERR_IMAGE_UNDECODABLE;
}

/* Several pictures: a list in the order in which they came. */
static enum MHD_Result reply_several(struct exchange *x)
{
    const struct request *r = x->request;
    json_t *results = json_array();
    size_t failed = 0;
    for (size_t i = 0; i < r->part_count && results; i++) {
        failed += r->parts[i].error.code != ERR_OK;
        if (json_array_append_new(results, result(&x->parts[i], &r->parts[i], r->top_k)) != 0) {
            json_decref(results);
            results = NULL;
        }
    }
    const char *model = x->model->name;
    if (failed < r->part_count)
        return reply_json(x, 200,
                          json_pack("{s:s, s:s, s:o, s:o}", "model", model, "request_id", x->id,
                                    "results", results, "timing_ms", timing(r)));
    struct error err;
    error_set(&err, shared_failure(r), "none of the %zu pictures could be classified",
              r->part_count);
    return reply_json(x, error_status(err.code),
                      json_pack("{s:o, s:s, s:o}", "error", reply_error_object(&err), "request_id",
                                x->id, "results", results));
}

static enum MHD_Result reply_results(struct exchange *x)
{
    return x->request->part_count == 1 ? reply_one(x) : reply_several(x);
}

enum MHD_Result classify_resume(struct exchange *x)
{
    return work_resume(x, reply_results);
}
