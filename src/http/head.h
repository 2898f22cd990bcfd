/* A request's head. Checks that we read it as its sender and every proxy on the way read it.
 * libmicrohttpd 0.9 joins folded lines to the name before them, cuts values at NUL, takes a lone LF
 * for a line's end, and reports none of this; 1.0 refuses such heads itself. */
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
    bool has_length;       /* it gives the length of the body, or the body delimits itself */
    bool has_body;         /* it announces a body */
    bool is_loose;         /* others may see the end of its body elsewhere */
    size_t content_length; /* 0 if unknown */
};

/* Whether this libmicrohttpd can be strict itself (1.0). An older one is not told to be strict: see
 * head_refused. */
bool head_is_strict_library(void);

/* A request line has come, whose target libmicrohttpd is about to parse. */
void head_begin(struct head *head, struct MHD_Connection *connection, const char *target);

/* The head is complete; `method` and `version` are libmicrohttpd's. ERR_BAD_REQUEST,
 * ERR_TRANSFER_CODING. */
int head_check(struct head *head, const char *method, const char *version, struct error *err);

/* Checks that the head asks for nothing unsupported: ERR_EXPECTATION, ERR_MEDIA_TYPE. */
int head_check_demands(const struct head *head, struct error *err);

/* libmicrohttpd is about to refuse a request with `status`. If it is this one and its head is
 * complete, libmicrohttpd 0.9 would send its answer's head twice: true, and `err` is the answer to
 * send instead. */
bool head_refused(const struct head *head, int status, struct error *err);

#endif
