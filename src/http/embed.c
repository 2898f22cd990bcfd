/* POST /embed. */
#include <endian.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "http/arguments.h"
#include "http/handlers.h"
#include "http/reply.h"
#include "http/work.h"

static int make_request(struct exchange *x, struct error *err)
{
    struct argument a[] = {{"normalize", NULL}, {"model", NULL}};
    int code = arguments_read(x, a, sizeof a / sizeof a[0], err);
    if (code == ERR_OK)
        code = work_choose_model(x, a[1].value, err);
    int normalize = a[0].value ? arguments_count(a[0].value) : 0;
    if (code == ERR_OK && normalize != 0 && normalize != 1)
        code = error_set(err, ERR_PARAMETER, "normalize must be 0 or 1");
    if (code == ERR_OK)
        code = work_make_one(x, REQUEST_EMBED, err);
    if (code == ERR_OK)
        x->request->normalized = normalize == 1;
    return code;
}

enum MHD_Result embed_answer(struct exchange *x)
{
    struct error err;
    return make_request(x, &err) == ERR_OK ? work_submit(x) : reply_error(x, &err);
}

static enum MHD_Result reply_raw(struct exchange *x, const float *values, size_t count)
{
    uint32_t *bytes = malloc(count * sizeof *bytes);
    for (size_t i = 0; i < count && bytes; i++) {
        memcpy(&bytes[i], &values[i], sizeof bytes[i]);
        bytes[i] = htole32(bytes[i]);
    }
    return reply_bytes(x, "application/octet-stream", (uint8_t *)bytes, count * sizeof *bytes);
}

static enum MHD_Result reply_embedding(struct exchange *x)
{
    const struct request_part *part = &x->request->parts[0];
    if (part->error.code != ERR_OK)
        return reply_error(x, &part->error);
    const char *accept = exchange_header(x, "Accept");
    if (accept && strcasestr(accept, "application/octet-stream"))
        return reply_raw(x, part->values, part->value_count);
    return reply_json(x, 200,
                      json_pack("{s:s, s:I, s:o}", "model", x->model->name, "dimensions",
                                (json_int_t)part->value_count, "embedding",
                                reply_numbers(part->values, part->value_count)));
}

enum MHD_Result embed_resume(struct exchange *x)
{
    return work_resume(x, reply_embedding);
}
