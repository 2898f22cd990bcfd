#include "http/work.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/json_pictures.h"
#include "http/reply.h"

int work_choose_model(struct exchange *x, const char *name, struct error *err)
{
    int code = generation_find_model(x->generation, name, &x->model_index, err);
    if (code == ERR_OK)
        x->model = generation_model(x->generation, x->model_index);
    return code;
}

int work_read_query(struct exchange *x, struct query_parameter *known, size_t count,
                    struct error *err)
{
    int code = query_read(x, known, count, err);
    return code == ERR_OK ? work_choose_model(x, known[0].value, err) : code;
}

/* Keeps only the parts that are files. */
static void keep_files(struct work *work)
{
    size_t files = 0;
    for (size_t i = 0; i < work->part_count; i++)
        if (work->parts[i].is_file)
            work->parts[files++] = work->parts[i];
    work->part_count = files;
}

static int read_multipart(const struct exchange *x, const char *content_type, struct work *work,
                          struct error *err)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    size_t max = (size_t)x->conf->max_parts;
    int code = multipart_boundary(content_type, boundary, err);
    if (code != ERR_OK)
        return code;
    work->parts = calloc(max, sizeof *work->parts);
    if (!work->parts)
        return error_set(err, ERR_NO_MEMORY, "no memory for the request; try again later");
    code = multipart_parse(x->upload.bytes, x->upload.length, boundary, work->parts, max,
                           &work->part_count, err);
    if (code != ERR_OK)
        return code;
    keep_files(work);
    if (work->part_count == 0)
        return error_set(err, ERR_MULTIPART,
                         "no part is a file: give one a filename or the type image/jpeg");
    return ERR_OK;
}

/* A request that takes over the body. */
static int take_body(struct exchange *x, enum request_kind kind, int top_k, size_t parts,
                     struct error *err)
{
    struct upload *u = &x->upload;
    int code = request_create(&x->request, x->generation, x->model_index, top_k, parts,
                              (uint8_t *)u->bytes, err);
    if (code != ERR_OK)
        return code;
    x->request->kind = kind;
    x->request->bodies = server_bodies(x->context->server);
    x->request->upload_size = u->capacity;
    u->bytes = NULL;
    u->capacity = 0;
    return ERR_OK;
}

static int check_body(const struct exchange *x, const char *wanted, struct error *err)
{
    return x->upload.length > 0
               ? ERR_OK
               : error_set(err, ERR_BODY_EMPTY, "the body is empty; send %s", wanted);
}

static void free_work(struct work *work)
{
    free(work->parts);
    free(work);
}

void work_release(struct request *request)
{
    free_work(request->codec_state);
}

const char *work_model_name(const struct request *request)
{
    return generation_model(request->generation, request->model)->name;
}

/* No more than there are. */
static int bound_top_k(const struct model_info *model, int top_k)
{
    return top_k < model->classes ? top_k : model->classes;
}

/* The request for a body. Its parts, if it is multipart, are in `work`. */
static int make_request(struct exchange *x, enum request_kind kind, const struct work *work,
                        struct error *err)
{
    size_t count = work->parts ? work->part_count : work->json_length > 0 ? 0 : 1;
    int code = take_body(x, kind, bound_top_k(x->model, work->top_k), count, err);
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        struct request_part *part = &x->request->parts[i];
        part->jpeg = work->parts ? (const uint8_t *)work->parts[i].data.bytes : x->request->upload;
        part->length = work->parts ? work->parts[i].data.length : x->upload.length;
    }
    if (code == ERR_OK && work->json_length > 0)
        x->request->expected_pictures = json_pictures_estimate(
            (char *)x->request->upload, work->json_length, work->max_pictures);
    return code;
}

static int read_type(const struct exchange *x, struct work *work, struct error *err)
{
    const char *type = exchange_header(x, "Content-Type");
    if (type && multipart_is_multipart(type))
        return read_multipart(x, type, work, err);
    if (json_pictures_is_json(type, x->upload.bytes, x->upload.length))
        work->json_length = x->upload.length;
    return ERR_OK;
}

int work_make(struct exchange *x, enum request_kind kind, int top_k,
              const struct request_codec *codec, struct error *err)
{
    int code = check_body(x, "a JPEG", err);
    if (code != ERR_OK)
        return code;
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        return error_set(err, ERR_NO_MEMORY, "no memory for the request; try again later");
    memcpy(work->id, x->id, sizeof work->id);
    work->max_pictures = (size_t)x->conf->max_parts;
    work->top_k = top_k;
    code = read_type(x, work, err);
    if (code == ERR_OK)
        code = make_request(x, kind, work, err);
    if (code != ERR_OK) {
        free_work(work);
        return code;
    }
    x->request->codec = codec;
    x->request->codec_state = work;
    return ERR_OK;
}

static int check_one(const struct work *work, const struct json_pictures *p, struct error *err)
{
    if (!work->is_one || (!p->is_list && p->top_k == 0))
        return ERR_OK;
    return error_set(err, ERR_BAD_REQUEST,
                     "this endpoint takes one picture a request, as {\"image\":{\"b64\":\"...\"}} "
                     "without instances and parameters");
}

static int set_parts(struct request *r, struct work *work, const struct json_pictures *p,
                     struct error *err)
{
    const struct model_info *model = generation_model(r->generation, r->model);
    int code = check_one(work, p, err);
    if (code == ERR_OK)
        code = request_set_parts(r, p->count,
                                 bound_top_k(model, p->top_k > 0 ? p->top_k : work->top_k), err);
    for (size_t i = 0; code == ERR_OK && i < p->count; i++) {
        r->parts[i].jpeg = (const uint8_t *)p->slices[i].bytes;
        r->parts[i].length = p->slices[i].length;
    }
    work->is_list = r->stops_at_failure = p->is_list;
    return code;
}

int work_decode(struct request *r, struct error *err)
{
    struct work *work = r->codec_state;
    struct json_pictures p;
    if (work->json_length == 0)
        return ERR_OK;
    int code =
        json_pictures_read((char *)r->upload, work->json_length, work->max_pictures, &p, err);
    if (code != ERR_OK)
        return code;
    code = set_parts(r, work, &p, err);
    free(p.slices);
    return code;
}

int work_make_one(struct exchange *x, enum request_kind kind, const struct request_codec *codec,
                  struct error *err)
{
    int code = work_make(x, kind, 1, codec, err);
    if (code != ERR_OK)
        return code;
    ((struct work *)x->request->codec_state)->is_one = true;
    if (x->request->part_count > 1)
        return error_set(err, ERR_MULTIPART,
                         "there are %zu files; this endpoint takes one picture a request",
                         x->request->part_count);
    return ERR_OK;
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

enum MHD_Result work_answer(struct exchange *x)
{
    struct error err;
    if (x->route->prepare(x, &err) != ERR_OK)
        return reply_error(x, &err);
    if (exchange_suspend(x, &x->request->completion, x->timeout_ns - x->paused_ns))
        server_submit(x->context->server, x->request);
    return MHD_YES;
}

/* The body is a JPEG or multipart. */
static bool is_picture(const struct request *r)
{
    return r->kind != REQUEST_INFER && ((struct work *)r->codec_state)->json_length == 0;
}

/* curl -d says that a file is a form, and drops some of its bytes. */
static bool is_failed_form(const struct exchange *x)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const struct request *r = x->request;
    const char *type = exchange_header(x, "Content-Type");
    bool is_failed = r->failure.code == ERR_NOT_JPEG || r->failure.code == ERR_IMAGE_UNDECODABLE;
    return is_failed && is_picture(r) && type && strncasecmp(type, form, sizeof form - 1) == 0 &&
           !strstr(r->failure.message, "--data-binary");
}

static enum MHD_Result reply_work(struct exchange *x)
{
    struct request *r = x->request;
    if (r->failure.code == ERR_OK)
        return reply_answer(x, &r->answer);
    if (is_failed_form(x))
        error_prefix(&r->failure, r->failure.code,
                     "sent as a form (curl -d damages pictures, --data-binary does not)");
    return reply_refusal(x, &r->failure, false);
}

/* Releases the request, so that its upload does not stay in memory while the client reads. Once
 * there is an answer, the peer holds no reference. */
static enum MHD_Result reply_failure(struct exchange *x, int outcome)
{
    enum MHD_Result sent = reply_unfinished(x, outcome);
    if (x->phase == EXCHANGE_ANSWERED) {
        request_release(x->request);
        x->request = NULL;
    }
    return sent;
}

enum MHD_Result work_resume(struct exchange *x)
{
    struct metrics *metrics = server_metrics(x->context->server);
    int outcome = completion_outcome(&x->request->completion);
    CHECK(outcome != COMPLETION_PENDING);
    int64_t begin = clock_monotonic_ns();
    if (x->request->queued_ns > 0)
        metrics_observe(metrics, HISTOGRAM_request_duration, 0, begin - x->request->queued_ns);
    if (outcome != ERR_OK)
        return reply_failure(x, outcome);
    enum MHD_Result sent = reply_work(x);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_ENCODE,
                    x->request->encode_ns + clock_monotonic_ns() - begin);
    return sent;
}
