/* A request's head: whether all that came was read as its sender and everybody on the way read it.
 * libmicrohttpd 0.9 joins folded lines to the name before them, cuts values at NUL, takes a lone LF
 * for a line's end, and says nothing of it; 1.0 refuses such heads by itself. */
#ifndef RESNEXT_HTTP_HEAD_H
#define RESNEXT_HTTP_HEAD_H

#include "http/exchange.h"

/* Whether libmicrohttpd is one that is to be strict by itself. Where it is not, it is not told to
 * be: see head_refused. */
bool head_is_strict_library(void);

/* A request line has come, whose target libmicrohttpd is about to take apart. */
void head_begin(struct exchange *x, const char *target);

/* The head is complete; `method` and `version` are libmicrohttpd's. Fills x->has_body,
 * x->has_length, head.is_loose and upload.announced. ERR_BAD_REQUEST, ERR_TRANSFER_CODING. */
int head_check(struct exchange *x, const char *method, const char *version, struct error *err);

/* The exchange ends, whether its head was checked or not. */
void head_end(struct exchange *x);

/* libmicrohttpd is about to refuse what an exchange of this thread has sent. If that is a complete
 * head, it (0.9) would send its answer's head twice; so we answer, and leave it nothing to send to.
 */
void head_refused(int status);

#endif
