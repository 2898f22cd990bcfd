#include "http/upload.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DISCARD_MIN = 4 << 20 };

static int too_large(const struct exchange *x, struct error *err)
{
    return error_set(err, ERR_BODY_TOO_LARGE,
                     "the body is larger than %lld bytes (max_body_bytes); send a smaller picture",
                     (long long)x->conf->max_body_bytes);
}

int upload_check_acceptable(const struct exchange *x, struct error *err)
{
    const char *expect = exchange_header(x, "Expect");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return error_set(err, ERR_EXPECTATION, "the only Expect supported is 100-continue");
    const char *encoding = exchange_header(x, "Content-Encoding");
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return error_set(err, ERR_MEDIA_TYPE,
                         "no Content-Encoding is supported; send the JPEG's own bytes");
    if (x->upload.announced > (size_t)x->conf->max_body_bytes)
        return too_large(x, err);
    return ERR_OK;
}

static int no_space(struct error *err)
{
    return error_set(err, ERR_OVERLOADED,
                     "too many uploads and answers are in memory; try again later");
}

int upload_check_memory(const struct exchange *x, struct error *err)
{
    const struct bodies *all = server_bodies(x->context->server);
    size_t announced = x->upload.announced;
    return announced <= BODIES_SMALL || bodies_have_space(all, announced) ? ERR_OK : no_space(err);
}

void upload_free(struct exchange *x)
{
    struct upload *u = &x->upload;
    bodies_return(server_bodies(x->context->server), u->capacity);
    free(u->bytes);
    u->bytes = NULL;
    u->length = u->capacity = 0;
}

static int reserve(struct exchange *x, size_t needed, size_t limit, struct error *err)
{
    struct upload *u = &x->upload;
    if (needed <= u->capacity)
        return ERR_OK;
    size_t max = needed <= u->announced ? u->announced : limit;
    struct bodies *all = server_bodies(x->context->server);
    size_t capacity = bodies_grow(all, u->capacity, needed, BODIES_SMALL, max);
    if (capacity == 0)
        return no_space(err);
    uint8_t *bytes = realloc(u->bytes, capacity);
    if (!bytes) {
        bodies_return(all, capacity - u->capacity);
        return error_set(err, ERR_NO_MEMORY, "no memory for the upload; try again later");
    }
    u->bytes = bytes;
    u->capacity = capacity;
    return ERR_OK;
}

int upload_append(struct exchange *x, const char *bytes, size_t length, bool keep,
                  struct error *err)
{
    size_t limit = (size_t)x->conf->max_body_bytes;
    x->received += length;
    if (x->received > limit)
        return too_large(x, err);
    if (!keep)
        return ERR_OK;
    struct upload *u = &x->upload;
    int code = reserve(x, x->received, limit, err);
    if (code != ERR_OK)
        return code;
    memcpy(u->bytes + u->length, bytes, length);
    u->length += length;
    return ERR_OK;
}

bool upload_discard(struct exchange *x, size_t length)
{
    size_t limit = (size_t)x->conf->max_body_bytes;
    x->received += length;
    return x->received <= limit + (limit > DISCARD_MIN ? limit : DISCARD_MIN);
}
