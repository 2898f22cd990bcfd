/* POST /classify. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/handlers.h"
#include "http/reply.h"

/* --- the request --- */

struct arguments {
    const char *top_k, *model; /* NULL: not given */
    struct error *err;
    int code;
};

static enum MHD_Result note_argument(void *arg, enum MHD_ValueKind kind, const char *key,
                                     size_t key_size, const char *value, size_t value_size)
{
    (void)kind;
    (void)key_size;
    struct arguments *a = arg;
    const char **known = strcmp(key, "top_k") == 0   ? &a->top_k
                         : strcmp(key, "model") == 0 ? &a->model
                                                     : NULL;
    if (!known)
        return MHD_YES;
    if (*known)
        a->code = error_set(a->err, ERR_PARAMETER, "%s is given twice", key);
    /* With a NUL in it, it is neither a number nor a name. */
    *known = value && strlen(value) == value_size ? value : "";
    return MHD_YES;
}

/* A decimal number, digits only; -1 if it is none or above a million. */
static int parse_count(const char *text)
{
    int n = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || n > 100000)
            return -1;
        n = 10 * n + (*c - '0');
    }
    return *text ? n : -1;
}

static int read_parameters(struct exchange *x, int *top_k, struct error *err)
{
    const struct server *server = x->context->server;
    struct arguments a = {.err = err};
    MHD_get_connection_values_n(x->connection, MHD_GET_ARGUMENT_KIND, note_argument, &a);
    if (a.code != ERR_OK)
        return a.code;
    size_t model;
    int code = server_find_model(server, a.model, &model, err);
    if (code != ERR_OK)
        return code;
    x->model = model;
    int classes = server_model(server, model)->classes;
    int wanted = (int)x->context->conf->top_k;
    *top_k = a.top_k ? parse_count(a.top_k) : wanted < classes ? wanted : classes;
    if (*top_k < 1 || *top_k > classes)
        return error_set(err, ERR_PARAMETER, "top_k must be a number from 1 to %d", classes);
    return ERR_OK;
}

/* Keeps only the parts that are files. */
static void keep_files(struct exchange *x)
{
    size_t files = 0;
    for (size_t i = 0; i < x->part_count; i++)
        if (x->parts[i].is_file)
            x->parts[files++] = x->parts[i];
    x->part_count = files;
}

static int read_multipart(struct exchange *x, const char *content_type, struct error *err)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    size_t max = (size_t)x->context->conf->max_parts;
    int code = multipart_boundary(content_type, boundary, err);
    if (code != ERR_OK)
        return code;
    x->parts = calloc(max, sizeof *x->parts);
    if (!x->parts)
        return error_set(err, ERR_NO_MEMORY, "no memory for the request; try again later");
    code = multipart_parse(x->upload.bytes, x->upload.length, boundary, x->parts, max,
                           &x->part_count, err);
    if (code != ERR_OK)
        return code;
    keep_files(x);
    if (x->part_count == 0)
        return error_set(err, ERR_MULTIPART,
                         "no part is a file: give one a filename or an image content type");
    return ERR_OK;
}

static void resume_connection(struct request *request)
{
    MHD_resume_connection(request->waiter);
}

static int make_request(struct exchange *x, struct error *err)
{
    int top_k;
    int code = read_parameters(x, &top_k, err);
    if (code != ERR_OK)
        return code;
    if (x->upload.length == 0)
        return error_set(err, ERR_BODY_EMPTY, "the body is empty; send a JPEG");
    const char *type = exchange_header(x, "Content-Type");
    bool is_multipart = type && multipart_is_multipart(type);
    code = is_multipart ? read_multipart(x, type, err) : ERR_OK;
    if (code != ERR_OK)
        return code;
    size_t count = is_multipart ? x->part_count : 1, length = x->upload.length;
    code = request_create(&x->request, x->model, top_k, count, x->upload.bytes, err);
    if (code != ERR_OK)
        return code;
    x->upload.bytes = NULL; /* the request's now */
    for (size_t i = 0; i < count; i++) {
        struct request_part *part = &x->request->parts[i];
        part->jpeg = is_multipart ? (const uint8_t *)x->parts[i].data.bytes : x->request->upload;
        part->length = is_multipart ? x->parts[i].data.length : length;
    }
    x->request->done = resume_connection;
    x->request->waiter = x->connection;
    return ERR_OK;
}

enum MHD_Result classify_answer(struct exchange *x)
{
    struct error err;
    if (make_request(x, &err) != ERR_OK)
        return reply_error(x, &err);
    struct server *server = x->context->server;
    x->phase = EXCHANGE_WAITING;
    /* Suspended first: the answer may come, and resume it, before the next line. */
    MHD_suspend_connection(x->connection);
    int code = peer_waiting(x->peer, x->request);
    if (code == ERR_OK)
        server_submit(server, x->request);
    else
        server_cancel(server, x->request, code);
    return MHD_YES;
}

/* --- the answer --- */

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
                      json_pack("{s:s, s:s, s:o, s:o, s:o}", "model",
                                server_model(x->context->server, r->model)->name, "request_id",
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
    const char *model = server_model(x->context->server, r->model)->name;
    if (failed < r->part_count)
        return reply_json(x, 200,
                          json_pack("{s:s, s:s, s:o, s:o}", "model", model, "request_id", x->id,
                                    "results", results, "timing_ms", timing(r)));
    struct error err;
    error_set(&err, ERR_IMAGE_UNDECODABLE, "none of the %zu pictures could be classified",
              r->part_count);
    return reply_json(x, error_status(err.code),
                      json_pack("{s:o, s:s, s:o}", "error", reply_error_object(&err), "request_id",
                                x->id, "results", results));
}

static enum MHD_Result reply_unfinished(struct exchange *x, int outcome)
{
    struct metrics *metrics = server_metrics(x->context->server);
    struct error err;
    switch (outcome) {
    case ERR_CLIENT_GONE:
        return MHD_NO; /* closes the connection */
    case ERR_DEADLINE:
        metrics_add(metrics, COUNTER_rejected, REASON_DEADLINE, 0, 0, 1);
        error_set(&err, ERR_DEADLINE,
                  "there was no answer within %lld ms (request_timeout_ms); try again later",
                  (long long)x->context->conf->request_timeout_ms);
        break;
    case ERR_OVERLOADED:
        metrics_add(metrics, COUNTER_rejected, REASON_OVERLOADED, 0, 0, 1);
        error_set(&err, ERR_OVERLOADED,
                  "too many requests are waiting (queue_limit); "
                  "try again later");
        break;
    default:
        CHECK(outcome == ERR_DRAINING);
        metrics_add(metrics, COUNTER_rejected, REASON_DRAINING, 0, 0, 1);
        error_set(&err, ERR_DRAINING, "this server is shutting down; ask another one");
    }
    return reply_error(x, &err);
}

enum MHD_Result classify_resume(struct exchange *x)
{
    struct metrics *metrics = server_metrics(x->context->server);
    int outcome = request_outcome(x->request);
    CHECK(outcome != REQUEST_PENDING);
    int64_t begin = clock_monotonic_ns();
    if (x->request->queued_ns > 0)
        metrics_observe(metrics, HISTOGRAM_request_duration, 0, begin - x->request->queued_ns);
    if (outcome != ERR_OK)
        return reply_unfinished(x, outcome);
    enum MHD_Result sent = x->request->part_count == 1 ? reply_one(x) : reply_several(x);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_ENCODE, clock_monotonic_ns() - begin);
    return sent;
}
