/* Request bodies: checks of announced lengths, and the bytes received. */
#ifndef RESNEXT_HTTP_UPLOAD_H
#define RESNEXT_HTTP_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "serve/bodies.h"

/* The part of a body that has come. */
struct upload {
    struct bodies *bodies;
    size_t limit;            /* max_body_bytes */
    size_t announced;        /* how long it is to be, 0 if unknown */
    size_t received;         /* all bytes that came, kept or not */
    char *bytes;             /* [capacity], from malloc, */
    size_t length, capacity; /* which counts in `bodies` until it is handed on or freed */
};

/* Checks the announced length: ERR_BODY_TOO_LARGE. */
int upload_check_limit(const struct upload *upload, struct error *err);

/* ERR_OVERLOADED if the announced length is not small and does not fit beside the other bodies. */
int upload_check_memory(const struct upload *upload, struct error *err);

/* Appends bytes, or only counts them if `keep` is false. The buffer grows with the bytes received,
 * by half as much again, never beyond the announced or allowed length. ERR_BODY_TOO_LARGE,
 * ERR_OVERLOADED, ERR_NO_MEMORY. */
int upload_append(struct upload *upload, const char *bytes, size_t length, bool keep,
                  struct error *err);

/* Counts bytes of a refused body, which is read to its end because libmicrohttpd sends no answer
 * before. False if the body has passed twice the limit, and the limit by 4 MiB at least: that is
 * enough. */
bool upload_discard(struct upload *upload, size_t length);

/* Frees the bytes that were not handed over, which makes space for other uploads. */
void upload_free(struct upload *upload);

#endif
