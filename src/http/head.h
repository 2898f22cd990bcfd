/* A request's head: whether all that came was read as its sender and everybody on the way read it.
 * libmicrohttpd 0.9 joins folded lines to the name before them, cuts values at NUL, takes a lone LF
 * for a line's end, and says nothing of it; 1.0 refuses such heads by itself. */
#ifndef RESNEXT_HTTP_HEAD_H
#define RESNEXT_HTTP_HEAD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct head {
    struct MHD_Connection *connection;
    const char *target; /* as it came, in libmicrohttpd's memory; overwritten since */
    size_t target_length;
    bool is_malformed, is_too_long; /* the target */
    /* From head_check on: */
    bool has_length;       /* it tells how long the body is, or that it tells by itself */
    bool has_body;         /* it announces one */
    bool is_loose;         /* where its body ends, others may see otherwise */
    size_t content_length; /* 0 if unknown */
};

/* Whether libmicrohttpd is one that is to be strict by itself. Where it is not, it is not told to
 * be: see head_refused. */
bool head_is_strict_library(void);

/* A request line has come, whose target libmicrohttpd is about to take apart. */
void head_begin(struct head *head, struct MHD_Connection *connection, const char *target);

/* The head is complete; `method` and `version` are libmicrohttpd's. ERR_BAD_REQUEST,
 * ERR_TRANSFER_CODING. */
int head_check(struct head *head, const char *method, const char *version, struct error *err);

/* Whether there is more to it than can be had: ERR_EXPECTATION, ERR_MEDIA_TYPE. */
int head_check_demands(const struct head *head, struct error *err);

/* libmicrohttpd is about to refuse something with `status`. If that is this head, which is complete
 * then, it (0.9) would send its answer's head twice: true, with the error to answer before it. */
bool head_refused(const struct head *head, int status, struct error *err);

#endif
