/* Request bodies: what may be announced, and how the bytes are kept. */
#ifndef RESNEXT_HTTP_UPLOAD_H
#define RESNEXT_HTTP_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "serve/bodies.h"

/* A body as far as it has come. */
struct upload {
    struct bodies *bodies;
    size_t limit;            /* max_body_bytes */
    size_t announced;        /* how long it is to be, 0 if unknown */
    size_t received;         /* all bytes that came, kept or not */
    char *bytes;             /* [capacity], from malloc, */
    size_t length, capacity; /* which counts in `bodies` until it is handed on or freed */
};

/* Checks what was announced: ERR_BODY_TOO_LARGE. */
int upload_check_limit(const struct upload *upload, struct error *err);

/* ERR_OVERLOADED if what was announced is not small, and does not fit beside the other bodies. */
int upload_check_memory(const struct upload *upload, struct error *err);

/* Appends, or only counts if `keep` is false. Memory grows with what has come, by half as much
 * again, never beyond what was announced or is allowed. ERR_BODY_TOO_LARGE, ERR_OVERLOADED,
 * ERR_NO_MEMORY. */
int upload_append(struct upload *upload, const char *bytes, size_t length, bool keep,
                  struct error *err);

/* Counts what came of a body that is refused, so that its answer can be sent when it is complete;
 * libmicrohttpd sends none before. False: twice the limit came, and at least 4 MiB beyond it, which
 * is enough. */
bool upload_discard(struct upload *upload, size_t length);

/* Frees what is not handed on, and makes space for other uploads. */
void upload_free(struct upload *upload);

#endif
