#include "http/upload.h"

#include <stdlib.h>
#include <string.h>

enum { DISCARD_MIN = 4 << 20 };

static int too_large(const struct upload *u, struct error *err)
{
    return error_set(err, ERR_BODY_TOO_LARGE,
                     "the body is larger than %zu bytes (max_body_bytes); send a smaller picture",
                     u->limit);
}

int upload_check_limit(const struct upload *upload, struct error *err)
{
    return upload->announced > upload->limit ? too_large(upload, err) : ERR_OK;
}

static int no_space(struct error *err)
{
    return error_set(err, ERR_OVERLOADED,
                     "too many uploads and answers are in memory; try again later");
}

int upload_check_memory(const struct upload *upload, struct error *err)
{
    return upload->announced <= BODIES_SMALL || bodies_have_space(upload->bodies, upload->announced)
               ? ERR_OK
               : no_space(err);
}

void upload_free(struct upload *upload)
{
    bodies_return(upload->bodies, upload->capacity);
    free(upload->bytes);
    upload->bytes = NULL;
    upload->length = upload->capacity = 0;
}

static int reserve(struct upload *u, struct error *err)
{
    size_t max = u->received <= u->announced ? u->announced : u->limit;
    int code = bodies_resize(u->bodies, &u->bytes, &u->capacity, u->received, BODIES_SMALL, max);
    if (code == ERR_NO_MEMORY)
        return error_set(err, code, "no memory for the upload; try again later");
    return code == ERR_OK ? ERR_OK : no_space(err);
}

int upload_append(struct upload *upload, const char *bytes, size_t length, bool keep,
                  struct error *err)
{
    upload->received += length;
    if (upload->received > upload->limit)
        return too_large(upload, err);
    if (!keep)
        return ERR_OK;
    int code = reserve(upload, err);
    if (code != ERR_OK)
        return code;
    memcpy(upload->bytes + upload->length, bytes, length);
    upload->length += length;
    return ERR_OK;
}

bool upload_discard(struct upload *upload, size_t length)
{
    size_t limit = upload->limit;
    upload->received += length;
    return upload->received <= limit + (limit > DISCARD_MIN ? limit : DISCARD_MIN);
}
