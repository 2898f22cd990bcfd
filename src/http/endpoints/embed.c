/* POST /embed. */
#include <string.h>

#include "http/answer_json.h"
#include "http/work.h"

static int encode_raw(struct request *r, struct error *err)
{
    const struct request_part *part = &r->parts[0];
    (void)err;
    r->answer.type = "application/octet-stream";
    for (size_t i = 0; i < part->value_count; i++)
        answer_float(&r->answer, part->values[i]);
    return ERR_OK;
}

static int encode_json(struct request *r, struct error *err)
{
    const struct request_part *part = &r->parts[0];
    (void)err;
    answer_text(&r->answer, "{\"model\":");
    answer_json_text(&r->answer, work_model_name(r));
    answer_printf(&r->answer, ",\"dimensions\":%zu,\"embedding\":", part->value_count);
    answer_json_reals(&r->answer, part->values, part->value_count);
    answer_text(&r->answer, "}");
    return ERR_OK;
}

static const struct request_codec raw_codec = {
    .all_or_none = true, .decode = work_decode, .encode = encode_raw, .release = work_release};
static const struct request_codec json_codec = {
    .all_or_none = true, .decode = work_decode, .encode = encode_json, .release = work_release};

static const struct request_codec *choose_codec(const struct exchange *x)
{
    const char *accept = exchange_header(x, "Accept");
    return accept && strcasestr(accept, "application/octet-stream") ? &raw_codec : &json_codec;
}

int embed_prepare(struct exchange *x, struct error *err)
{
    struct query_parameter q[] = {{"model", NULL}, {"normalize", NULL}};
    int code = work_read_query(x, q, sizeof q / sizeof q[0], err);
    int normalize = q[1].value ? query_count(q[1].value) : 0;
    if (code == ERR_OK && normalize != 0 && normalize != 1)
        code = error_set(err, ERR_PARAMETER, "normalize must be 0 or 1");
    if (code == ERR_OK)
        code = work_make_one(x, REQUEST_EMBED, choose_codec(x), err);
    if (code == ERR_OK)
        x->request->normalized = normalize == 1;
    return code;
}
