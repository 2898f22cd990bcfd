/* Request bodies: what the headers may announce, and how the bytes are kept. */
#ifndef RESNEXT_HTTP_UPLOAD_H
#define RESNEXT_HTTP_UPLOAD_H

#include "http/exchange.h"

/* Checks what could be read but will not be, before a byte of it is: ERR_EXPECTATION,
 * ERR_MEDIA_TYPE, ERR_BODY_TOO_LARGE. */
int upload_check_acceptable(const struct exchange *x, struct error *err);

/* ERR_OVERLOADED if what was announced is not small, and does not fit beside the other bodies. */
int upload_check_memory(const struct exchange *x, struct error *err);

/* Appends to x->upload, or only counts if `keep` is false. Memory grows with what has come, by
 * half as much again, never beyond what was announced or is allowed. ERR_BODY_TOO_LARGE,
 * ERR_OVERLOADED, ERR_NO_MEMORY. */
int upload_append(struct exchange *x, const char *bytes, size_t length, bool keep,
                  struct error *err);

/* Counts what came of a body that is refused, so that its answer can be sent when it is complete;
 * libmicrohttpd sends none before. False: twice max_body_bytes came, and at least 4 MiB beyond it,
 * which is enough. */
bool upload_discard(struct exchange *x, size_t length);

/* Frees what is not handed on, and makes space for other uploads. */
void upload_free(struct exchange *x);

#endif
