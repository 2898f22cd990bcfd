/* The Open Inference Protocol v2: all paths that begin with /v2. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "http/oip/infer.h"
#include "http/reply.h"
#include "http/work.h"

enum MHD_Result oip_server_answer(struct exchange *x)
{
    return reply_json(x, 200,
                      json_pack("{s:s, s:s, s:[s, s]}", "name", "resnextd", "version",
                                PACKAGE_VERSION, "extensions", "binary_tensor_data",
                                "classification"));
}

enum MHD_Result oip_live_answer(struct exchange *x)
{
    return reply_json(x, 200, json_pack("{s:b}", "live", 1));
}

enum MHD_Result oip_ready_answer(struct exchange *x)
{
    struct error err;
    if (server_ready(x->context->server, &err) != ERR_OK)
        return reply_error(x, &err);
    return reply_json(x, 200, json_pack("{s:b, s:b}", "live", 1, "ready", 1));
}

/* Chooses the model that the path /v2/models/NAME[/versions/V][/...] names. */
static int choose_model(struct exchange *x, struct error *err)
{
    char name[sizeof x->path] = "", version[sizeof x->path] = INFER_VERSION;
    _Static_assert(sizeof name == 256, "the widths below are one less");
    sscanf(x->path, "/v2/models/%255[^/]/versions/%255[^/]", name, version);
    int code = work_choose_model(x, name, err);
    if (code != ERR_OK)
        return code;
    if (strcmp(version, INFER_VERSION) == 0)
        return ERR_OK;
    return error_set(err, ERR_MODEL_UNKNOWN,
                     "model \"%s\" has no version \"%.32s\", only " INFER_VERSION, name, version);
}

enum MHD_Result oip_model_answer(struct exchange *x)
{
    struct error err;
    if (choose_model(x, &err) != ERR_OK)
        return reply_error(x, &err);
    const struct model_info *m = x->model;
    json_t *image =
        json_pack("{s:s, s:s, s:[i]}", "name", "image", "datatype", "BYTES", "shape", -1);
    json_t *input = json_pack("{s:s, s:s, s:[i, i, i, i]}", "name", "input", "datatype", "FP32",
                              "shape", -1, 3, m->input_size, m->input_size);
    json_t *logits = json_pack("{s:s, s:s, s:[i, i]}", "name", infer_output_name(INFER_LOGITS),
                               "datatype", "FP32", "shape", -1, m->classes);
    json_t *scores = json_pack("{s:s, s:s, s:[i, i], s:{s:s}}", "name",
                               infer_output_name(INFER_PROBABILITIES), "datatype", "FP32", "shape",
                               -1, m->classes, "parameters", "activation", m->activation);
    return reply_json(x, 200,
                      json_pack("{s:s, s:[s], s:s, s:[o, o], s:[o, o]}", "name", m->name,
                                "versions", INFER_VERSION, "platform", "resnextd_safetensors",
                                "inputs", image, input, "outputs", logits, scores));
}

enum MHD_Result oip_model_ready_answer(struct exchange *x)
{
    struct error err;
    int code = choose_model(x, &err);
    if (code == ERR_OK)
        code = server_ready(x->context->server, &err);
    if (code != ERR_OK)
        return reply_error(x, &err);
    return reply_json(x, 200, json_pack("{s:s, s:b}", "name", x->model->name, "ready", 1));
}

static int read_header_length(const struct exchange *x, int64_t *length, struct error *err)
{
    enum { MAX_DIGITS = 12 };
    const char *text;
    size_t count = exchange_headers(x, "Inference-Header-Content-Length", &text);
    size_t digits = text ? strlen(text) : 0;
    *length = count > 0 && digits <= MAX_DIGITS ? number_parse(text, digits) : -1;
    if (count == 0)
        *length = INFER_NO_HEADER;
    else if (count > 1 || *length < 0)
        return error_set(err, ERR_BAD_REQUEST,
                         "Inference-Header-Content-Length must be one number, the bytes of JSON");
    return ERR_OK;
}

int oip_infer_prepare(struct exchange *x, struct error *err)
{
    struct infer_terms terms = {.max_images = (size_t)x->conf->max_parts,
                                .body_length = x->upload.length};
    int code = query_read(x, NULL, 0, err);
    if (code == ERR_OK)
        code = choose_model(x, err);
    if (code == ERR_OK)
        code = read_header_length(x, &terms.header_length, err);
    if (code == ERR_OK)
        code = work_make_coded(x, &infer_codec, err);
    if (code != ERR_OK)
        return code;
    terms.size = x->model->input_size;
    terms.classes = x->model->classes;
    return infer_prepare(x->request, x->model->name, &terms, err);
}
