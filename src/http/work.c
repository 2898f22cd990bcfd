#include "http/work.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/reply.h"

int work_choose_model(struct exchange *x, const char *name, struct error *err)
{
    int code = edition_find_model(x->edition, name, &x->model_index, err);
    if (code == ERR_OK)
        x->model = edition_model(x->edition, x->model_index);
    return code;
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
    size_t max = (size_t)x->conf->max_parts;
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
                         "no part is a file: give one a filename or the type image/jpeg");
    return ERR_OK;
}

/* A request that takes over the body. */
static int take_body(struct exchange *x, enum request_kind kind, int top_k, size_t parts,
                     struct error *err)
{
    int code =
        request_create(&x->request, x->edition, x->model_index, top_k, parts, x->upload.bytes, err);
    if (code != ERR_OK)
        return code;
    x->upload.bytes = NULL;
    x->request->kind = kind;
    return ERR_OK;
}

static int check_body(const struct exchange *x, const char *wanted, struct error *err)
{
    return x->upload.length > 0
               ? ERR_OK
               : error_set(err, ERR_BODY_EMPTY, "the body is empty; send %s", wanted);
}

int work_make(struct exchange *x, enum request_kind kind, int top_k, struct error *err)
{
    int code = check_body(x, "a JPEG", err);
    if (code != ERR_OK)
        return code;
    const char *type = exchange_header(x, "Content-Type");
    bool is_multipart = type && multipart_is_multipart(type);
    code = is_multipart ? read_multipart(x, type, err) : ERR_OK;
    if (code != ERR_OK)
        return code;
    size_t count = is_multipart ? x->part_count : 1;
    code = take_body(x, kind, top_k, count, err);
    if (code != ERR_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        struct request_part *part = &x->request->parts[i];
        part->jpeg = is_multipart ? (const uint8_t *)x->parts[i].data.bytes : x->request->upload;
        part->length = is_multipart ? x->parts[i].data.length : x->upload.length;
    }
    return ERR_OK;
}

int work_make_one(struct exchange *x, enum request_kind kind, struct error *err)
{
    int code = work_make(x, kind, 1, err);
    if (code == ERR_OK && x->request->part_count > 1)
        return error_set(err, ERR_MULTIPART,
                         "there are %zu files; this endpoint takes one picture a request",
                         x->request->part_count);
    return code;
}

int work_make_coded(struct exchange *x, const struct request_codec *codec, struct error *err)
{
    int code = check_body(x, "an inference request, as /openapi.json describes it", err);
    if (code == ERR_OK)
        code = take_body(x, REQUEST_INFER, 1, 0, err);
    if (code == ERR_OK)
        x->request->codec = codec;
    return code;
}

enum MHD_Result work_submit(struct exchange *x)
{
    if (exchange_suspend(x, x->timeout_ns))
        server_submit(x->context->server, x->request);
    return MHD_YES;
}

enum MHD_Result work_resume(struct exchange *x, enum MHD_Result (*reply)(struct exchange *x))
{
    struct metrics *metrics = server_metrics(x->context->server);
    int outcome = request_outcome(x->request);
    CHECK(outcome != REQUEST_PENDING);
    int64_t begin = clock_monotonic_ns();
    if (x->request->queued_ns > 0)
        metrics_observe(metrics, HISTOGRAM_request_duration, 0, begin - x->request->queued_ns);
    if (outcome != ERR_OK)
        return reply_unfinished(x, outcome);
    enum MHD_Result sent = reply(x);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_ENCODE,
                    x->request->encode_ns + clock_monotonic_ns() - begin);
    return sent;
}
