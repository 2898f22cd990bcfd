#include "http/response.h"

#include <stdlib.h>
#include <string.h>

#include "http/exchange.h"

enum { BLOCK = 65536 };

struct body {
    struct exchange *exchange;
    const char *bytes;
    size_t length;
    struct answer owned;
};

/* MHD_ContentReaderCallback: all that is before `position` has been sent. */
static ssize_t read_body(void *cls, uint64_t position, char *out, size_t space)
{
    struct body *body = cls;
    size_t left = body->length - (size_t)position, n = left < space ? left : space;
    body->exchange->sent = (size_t)position;
    memcpy(out, body->bytes + position, n);
    return (ssize_t)n;
}

static void free_body(void *cls)
{
    struct body *body = cls;
    answer_free(&body->owned);
    free(body);
}

/* libmicrohttpd sends a body from a buffer together with the headers, and notices only in its next
 * round that both are sent: a client that has left by then would seem to have got nothing. It sends
 * a body from a callback separately, and knows at once. The price is one more send(2). */
struct MHD_Response *response_create(struct exchange *x, const void *bytes, size_t length,
                                     struct answer *owned)
{
    struct body *body = length > 0 ? malloc(sizeof *body) : NULL;
    struct MHD_Response *response = NULL;
    if (body) {
        *body = (struct body){x, bytes, length, {0}};
        if (owned)
            body->owned = *owned;
        response = MHD_create_response_from_callback(length, length < BLOCK ? length : BLOCK,
                                                     read_body, body, free_body);
        if (!response)
            free_body(body);
    } else {
        if (owned)
            answer_free(owned);
        if (length == 0)
            response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    return response;
}

bool response_add(struct MHD_Response *response, const char *name, const char *value)
{
    return !value || MHD_add_response_header(response, name, value) == MHD_YES;
}
