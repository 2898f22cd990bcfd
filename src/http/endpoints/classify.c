/* POST /classify, and the same at the paths of KServe's v1 protocol. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "http/answer_json.h"
#include "http/reply.h"
#include "http/work.h"

static int read_parameters(struct exchange *x, int *top_k, struct error *err)
{
    struct query_parameter q[] = {{"model", NULL}, {"top_k", NULL}};
    int code = work_read_query(x, q, sizeof q / sizeof q[0], err);
    if (code != ERR_OK)
        return code;
    *top_k = q[1].value ? query_count(q[1].value) : (int)x->conf->top_k;
    return *top_k < 1 ? query_refuse_top_k(err) : ERR_OK;
}

/* Milliseconds with three decimals. */
static void put_milliseconds(struct answer *a, const char *before, int64_t ns)
{
    answer_text(a, before);
    answer_json_real(a, round((double)ns / 1e3) / 1e3);
}

static void put_timing(struct answer *a, const struct request *r)
{
    const struct request_times t = request_times(r);
    put_milliseconds(a, "\"timing_ms\":{\"queue\":", t.queue_ns);
    put_milliseconds(a, ",\"decode\":", t.decode_ns);
    put_milliseconds(a, ",\"preprocess\":", t.preprocess_ns);
    put_milliseconds(a, ",\"inference\":", t.inference_ns);
    put_milliseconds(a, ",\"total\":", clock_monotonic_ns() - r->queued_ns);
    answer_text(a, "}");
}

static void put_predictions(struct answer *a, const struct request_part *part, int top_k)
{
    answer_text(a, "\"predictions\":[");
    for (int i = 0; i < top_k && answer_goes_on(a); i++) {
        const struct scored_class *p = &part->predictions[i];
        answer_printf(a, "%s{\"class_id\":%d,\"label\":", i > 0 ? "," : "", p->class_id);
        answer_json_text(a, p->label);
        answer_text(a, ",\"score\":");
        answer_json_real(a, (double)p->score);
        answer_text(a, "}");
    }
    answer_printf(a, "],\"image\":{\"width\":%d,\"height\":%d}", part->width, part->height);
}

/* Instances: a list in their order, as their clients expect. */
static void put_instances(struct answer *a, const struct request *r)
{
    answer_text(a, "\"predictions\":[");
    for (size_t i = 0; i < r->part_count; i++) {
        answer_text(a, i > 0 ? ",{" : "{");
        put_predictions(a, &r->parts[i], r->top_k);
        answer_text(a, "}");
    }
    answer_text(a, "]");
}

static void put_result(struct answer *a, const struct multipart_part *sent,
                       const struct request_part *part, int top_k)
{
    struct slice name = sent->file_name.length > 0 ? sent->file_name : sent->name;
    answer_text(a, "{\"part\":");
    answer_json_string(a, name.bytes, name.length);
    if (part->error.code != ERR_OK) {
        answer_text(a, ",\"error\":");
        answer_json_error(a, &part->error);
    } else {
        answer_text(a, ",");
        put_predictions(a, part, top_k);
    }
    answer_text(a, "}");
}

/* Several pictures: a list in the order in which they came. */
static void put_results(struct answer *a, const struct request *r)
{
    const struct work *work = r->codec_state;
    answer_text(a, "\"results\":[");
    for (size_t i = 0; i < r->part_count; i++) {
        answer_text(a, i > 0 ? "," : "");
        put_result(a, &work->parts[i], &r->parts[i], r->top_k);
    }
    answer_text(a, "]");
}

static void put_id(struct answer *a, const struct request *r)
{
    const struct work *work = r->codec_state;
    answer_text(a, ",\"request_id\":");
    answer_json_text(a, work->id);
    answer_text(a, ",");
}

/* The code of an answer in which every part failed: one of ours if we are to blame for any. ERR_OK:
 * there is a part that did not fail. */
static enum error_code shared_failure(const struct request *r)
{
    enum error_code shared = ERR_IMAGE_UNDECODABLE;
    for (size_t i = 0; i < r->part_count; i++) {
        enum error_code code = r->parts[i].error.code;
        if (code == ERR_OK)
            return ERR_OK;
        if (error_status(code) >= 500 && error_status(shared) < 500)
            shared = code;
    }
    return shared;
}

static void put_failure(struct answer *a, const struct request *r, enum error_code code)
{
    struct error err;
    error_set(&err, code, "none of the %zu pictures could be classified", r->part_count);
    a->status = error_status(code);
    answer_text(a, "{\"error\":");
    answer_json_error(a, &err);
    put_id(a, r);
    put_results(a, r);
    answer_text(a, "}");
}

/* The clients of instances know no failure but that of the whole request. */
static int check_instances(const struct request *r, struct error *err)
{
    for (size_t i = 0; i < r->part_count; i++) {
        const struct error *e = &r->parts[i].error;
        if (e->code != ERR_OK)
            return error_set(err, e->code, "instance %zu: %s", i, e->message);
    }
    return ERR_OK;
}

static int check_parts(const struct request *r, struct error *err)
{
    const struct work *work = r->codec_state;
    const struct error *first = &r->parts[0].error;
    if (work->is_list)
        return check_instances(r, err);
    return r->part_count == 1 && first->code != ERR_OK
               ? error_set(err, first->code, "%s", first->message)
               : ERR_OK;
}

static void put_pictures(struct answer *a, const struct request *r)
{
    const struct work *work = r->codec_state;
    if (work->is_list)
        put_instances(a, r);
    else if (r->part_count == 1)
        put_predictions(a, &r->parts[0], r->top_k);
    else
        put_results(a, r);
}

/* One picture that is not in a list: its predictions stand at the top. */
static int encode(struct request *r, struct error *err)
{
    struct answer *a = &r->answer;
    int code = check_parts(r, err);
    if (code != ERR_OK)
        return code;
    enum error_code failure = shared_failure(r);
    if (failure != ERR_OK) {
        put_failure(a, r, failure);
        return ERR_OK;
    }
    answer_text(a, "{\"model\":");
    answer_json_text(a, work_model_name(r));
    put_id(a, r);
    put_pictures(a, r);
    answer_text(a, ",");
    put_timing(a, r);
    answer_text(a, "}");
    return ERR_OK;
}

static const struct request_codec codec = {
    .decode = work_decode, .encode = encode, .release = work_release};

int classify_prepare(struct exchange *x, struct error *err)
{
    int top_k = 0;
    int code = read_parameters(x, &top_k, err);
    return code == ERR_OK ? work_make(x, REQUEST_CLASSIFY, top_k, &codec, err) : code;
}

/* Chooses the model that the path /v1/models/NAME[:predict] names. */
static int choose_named(struct exchange *x, struct error *err)
{
    char name[sizeof x->path] = "";
    _Static_assert(sizeof name == 256, "the width below is one less");
    sscanf(x->path, "/v1/models/%255[^:]", name);
    return work_choose_model(x, name, err);
}

/* Other bodies have answers, and failures of single pictures, of another form. */
static int decode_instances(struct request *r, struct error *err)
{
    int code = work_decode(r, err);
    const struct work *work = r->codec_state;
    return code != ERR_OK || work->is_list
               ? code
               : error_set(err, ERR_BAD_REQUEST,
                           "this path takes {\"instances\":[{\"b64\":\"...\"}, ...]} only; "
                           "/classify takes other bodies");
}

static const struct request_codec instances_codec = {
    .decode = decode_instances, .encode = encode, .release = work_release};

int predict_prepare(struct exchange *x, struct error *err)
{
    int code = query_read(x, NULL, 0, err);
    if (code == ERR_OK)
        code = choose_named(x, err);
    if (code == ERR_OK)
        code = work_make(x, REQUEST_CLASSIFY, (int)x->conf->top_k, &instances_codec, err);
    return code;
}

enum MHD_Result predictor_answer(struct exchange *x)
{
    struct error err;
    int code = choose_named(x, &err);
    if (code == ERR_OK)
        code = server_ready(x->context->server, &err);
    if (code != ERR_OK)
        return reply_error(x, &err);
    return reply_json(x, 200, json_pack("{s:s, s:b}", "name", x->model->name, "ready", 1));
}
