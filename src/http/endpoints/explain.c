/* POST /explain. */
#include <string.h>

#include "http/answer_json.h"
#include "http/work.h"

static void put_map(struct answer *a, const char *model, const struct request_part *part)
{
    const struct scored_class *class = &part->predictions[0];
    answer_text(a, "{\"model\":");
    answer_json_text(a, model);
    answer_printf(a, ",\"class_id\":%d,\"label\":", class->class_id);
    answer_json_text(a, class->label);
    answer_printf(a, ",\"grid\":{\"rows\":%d,\"cols\":%d,\"values\":", part->rows, part->cols);
    answer_json_reals(a, part->values, part->value_count);
    answer_text(a, "}}");
}

static int encode(struct request *r, struct error *err)
{
    const struct request_part *part = &r->parts[0];
    (void)err;
    if (r->wants_picture) {
        r->answer.type = "image/jpeg";
        answer_put(&r->answer, part->picture, part->picture_length);
    } else {
        put_map(&r->answer, work_model_name(r), part);
    }
    return ERR_OK;
}

static const struct request_codec codec = {
    .all_or_none = true, .decode = work_decode, .encode = encode, .release = work_release};

/* A copy for the worker, which may outlive this exchange's connection. */
static int copy_class(struct request *r, const char *name, struct error *err)
{
    if (!name)
        return ERR_OK;
    r->class_name = strdup(name);
    return r->class_name ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for the request");
}

int explain_prepare(struct exchange *x, struct error *err)
{
    struct query_parameter q[] = {
        {"model", NULL}, {"class", NULL}, {"class_id", NULL}, {"format", NULL}};
    int code = work_read_query(x, q, sizeof q / sizeof q[0], err);
    const char *label = q[1].value, *id = q[2].value;
    if (code == ERR_OK && label && id)
        code = error_set(err, ERR_PARAMETER, "class and class_id are both given; one is enough");
    const char *format = q[3].value ? q[3].value : "jpeg";
    bool picture = strcmp(format, "jpeg") == 0;
    if (code == ERR_OK && !picture && strcmp(format, "json") != 0)
        code = error_set(err, ERR_PARAMETER, "format must be jpeg or json");
    if (code == ERR_OK)
        code = work_make_one(x, REQUEST_EXPLAIN, &codec, err);
    if (code != ERR_OK)
        return code;
    x->request->wants_picture = picture;
    x->request->class_is_id = id != NULL;
    return copy_class(x->request, id ? id : label, err);
}
