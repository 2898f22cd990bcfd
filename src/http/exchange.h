/* One HTTP request and its answer, from the request line to the log line. Made, used and ended by
 * the HTTP thread that its connection belongs to, and by no other.
 *
 * Its phases:
 *   HEADERS   the request line has come
 *   UPLOAD    the headers were fine; the body is coming, if there is one
 *   WAITING   the connection is suspended; `request` is with the server
 *   ANSWERED  the answer is queued
 */
#ifndef RESNEXT_HTTP_EXCHANGE_H
#define RESNEXT_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "http/id.h"
#include "http/multipart.h"
#include "http/watch.h"
#include "serve/server.h"

/* What all exchanges share. */
struct http_context {
    const struct conf *conf;
    struct server *server;
    struct watch *watch;
    size_t upload_memory_limit; /* for the bodies of all exchanges together */
    atomic_size_t upload_memory;
};

enum exchange_phase { EXCHANGE_HEADERS, EXCHANGE_UPLOAD, EXCHANGE_WAITING, EXCHANGE_ANSWERED };

/* A body as far as it has come; grows in steps, see upload.h. */
struct upload {
    uint8_t *bytes;
    size_t length, capacity; /* capacity counts in upload_memory until the exchange ends */
    size_t announced;        /* Content-Length, 0 if unknown */
};

struct route;

struct exchange {
    struct http_context *context;
    struct MHD_Connection *connection;
    struct peer *peer;
    enum exchange_phase phase;
    const struct route *route; /* NULL: none fits */
    char method[16], path[256];
    char id[ID_SIZE], traceparent[TRACEPARENT_LENGTH + 1];
    bool has_body;        /* the headers announce one */
    struct error refusal; /* the answer, once the request is complete */
    struct upload upload;
    size_t received;              /* bytes of body */
    struct request *request;      /* a reference, or NULL */
    struct multipart_part *parts; /* of a multipart body, one for each part of `request` */
    size_t part_count;
    size_t model; /* index; the metrics' "none" until one is chosen */
    int status;   /* of the answer; 0: none yet */
    size_t sent;  /* bytes of the answer's body */
    int64_t begin_ns;
};

/* MHD_OPTION_URI_LOG_CALLBACK: makes the exchange; `context` is the struct http_context. NULL
 * without memory, and the connection is closed then. */
void *exchange_begin(void *context, const char *uri, struct MHD_Connection *connection);

/* Reads method, X-Request-Id and traceparent. */
void exchange_identify(struct exchange *x, const char *method);

/* MHD_OPTION_NOTIFY_COMPLETED: counts, logs and frees. */
void exchange_end(void *context, struct MHD_Connection *connection, void **exchange,
                  enum MHD_RequestTerminationCode how);

/* A request header's first value, NULL if there is none. */
const char *exchange_header(const struct exchange *x, const char *name);

#endif
