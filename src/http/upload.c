#include "http/upload.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIRST_CAPACITY = BODIES_SMALL, DISCARD_LEAST = 4 << 20 };

struct framing {
    bool bad_name; /* a header's name is no token, so that others may read it otherwise */
    size_t lengths, codings;
    const char *length, *coding; /* the first of each */
};

static bool is_token(const char *name)
{
    size_t n = strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return n > 0 && name[n] == '\0';
}

static enum MHD_Result note_header(void *arg, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    (void)kind;
    struct framing *f = arg;
    f->bad_name = f->bad_name || !is_token(key);
    if (strcasecmp(key, "Content-Length") == 0 && f->lengths++ == 0)
        f->length = value;
    if (strcasecmp(key, "Transfer-Encoding") == 0 && f->codings++ == 0)
        f->coding = value;
    return MHD_YES;
}

int upload_check_framing(struct exchange *x, struct error *err)
{
    struct framing f = {0};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, note_header, &f);
    /* libmicrohttpd has refused a first Content-Length that is no number below 2^64. */
    x->upload.announced = f.length ? strtoull(f.length, NULL, 10) : 0;
    x->has_body = f.codings > 0 || x->upload.announced > 0;
    if (f.bad_name)
        return error_set(err, ERR_BAD_REQUEST, "a header's name has a character it cannot have");
    if (f.lengths > 1)
        return error_set(err, ERR_BAD_REQUEST, "more than one Content-Length; send one");
    if (f.lengths > 0 && f.codings > 0)
        return error_set(err, ERR_BAD_REQUEST,
                         "Content-Length together with Transfer-Encoding; send one of them");
    if (f.codings > 1 || (f.coding && strcasecmp(f.coding, "chunked") != 0))
        return error_set(err, ERR_TRANSFER_CODING,
                         "the only Transfer-Encoding supported is chunked, once");
    return ERR_OK;
}

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

static int no_room(struct error *err)
{
    return error_set(err, ERR_OVERLOADED,
                     "too many uploads and answers are in memory; try again later");
}

int upload_check_memory(const struct exchange *x, struct error *err)
{
    const struct bodies *all = server_bodies(x->context->server);
    return bodies_have_room(all, x->upload.announced) ? ERR_OK : no_room(err);
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
    size_t capacity = u->capacity < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : 2 * u->capacity;
    if (u->announced > 0)
        limit = u->announced;
    capacity = capacity < needed ? needed : capacity > limit ? limit : capacity;
    size_t growth = capacity - u->capacity;
    struct bodies *all = server_bodies(x->context->server);
    if (!bodies_take(all, growth))
        return no_room(err);
    uint8_t *bytes = realloc(u->bytes, capacity);
    if (!bytes) {
        bodies_return(all, growth);
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
    return x->received <= limit + (limit > DISCARD_LEAST ? limit : DISCARD_LEAST);
}
