/* POST /explain. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "http/arguments.h"
#include "http/handlers.h"
#include "http/reply.h"
#include "http/work.h"

/* A copy for the worker, which may outlive this exchange's connection. */
static int copy_class(struct request *r, const char *name, struct error *err)
{
    if (!name)
        return ERR_OK;
    r->class_name = strdup(name);
    return r->class_name ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for the request");
}

static int make_request(struct exchange *x, struct error *err)
{
    struct argument a[] = {{"class", NULL}, {"format", NULL}, {"model", NULL}, {"class_id", NULL}};
    int code = arguments_read(x, a, sizeof a / sizeof a[0], err);
    if (code == ERR_OK)
        code = work_choose_model(x, a[2].value, err);
    const char *label = a[0].value, *id = a[3].value;
    if (code == ERR_OK && label && id)
        code = error_set(err, ERR_PARAMETER, "class and class_id are both given; one is enough");
    const char *format = a[1].value ? a[1].value : "jpeg";
    bool picture = strcmp(format, "jpeg") == 0;
    if (code == ERR_OK && !picture && strcmp(format, "json") != 0)
        code = error_set(err, ERR_PARAMETER, "format must be jpeg or json");
    if (code == ERR_OK)
        code = work_make_one(x, REQUEST_EXPLAIN, err);
    if (code != ERR_OK)
        return code;
    x->request->wants_picture = picture;
    x->request->class_is_id = id != NULL;
    return copy_class(x->request, id ? id : label, err);
}

enum MHD_Result explain_answer(struct exchange *x)
{
    struct error err;
    return make_request(x, &err) == ERR_OK ? work_submit(x) : reply_error(x, &err);
}

static enum MHD_Result reply_map(struct exchange *x)
{
    struct request_part *part = &x->request->parts[0];
    if (part->error.code != ERR_OK)
        return reply_error(x, &part->error);
    if (x->request->wants_picture) {
        uint8_t *picture = part->picture;
        part->picture = NULL; /* the answer's now */
        return reply_bytes(x, "image/jpeg", picture, part->picture_length);
    }
    const struct scored_class *class = &part->predictions[0];
    return reply_json(x, 200,
                      json_pack("{s:s, s:i, s:s, s:{s:i, s:i, s:o}}", "model", x->model->name,
                                "class_id", class->class_id, "label", class->label, "grid", "rows",
                                part->rows, "cols", part->cols, "values",
                                reply_numbers(part->values, part->value_count)));
}

enum MHD_Result explain_resume(struct exchange *x)
{
    return work_resume(x, reply_map);
}
