/* One HTTP request and its answer, from the request line to the log line. Only the HTTP thread of
 * its connection makes, uses and ends it.
 *
 * Its phases:
 *   HEADERS   the request line has arrived
 *   UPLOAD    the headers are accepted; the body, if there is one, is arriving
 *   WAITING   the connection is suspended; the server has `request`, or a reload is running
 *   ANSWERED  the answer is queued for sending
 */
#ifndef RESNEXT_HTTP_EXCHANGE_H
#define RESNEXT_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/id.h"
#include "conf/conf.h"
#include "http/connections/monitor.h"
#include "http/head.h"
#include "http/route.h"
#include "http/upload.h"
#include "serve/server.h"

struct reload;
struct reload_result;

/* Shared by the exchanges of an HTTP server. */
struct http_context {
    const struct conf *conf; /* of the start, for options that take effect only at a restart */
    struct server *server;
    struct reload *reload;
    struct monitor *monitor;
    bool is_admin;  /* this is admin_listen's server */
    bool has_admin; /* admin_listen has a server */
    int threads;    /* HTTP threads of this server */
};

enum exchange_phase { EXCHANGE_HEADERS, EXCHANGE_UPLOAD, EXCHANGE_WAITING, EXCHANGE_ANSWERED };

struct exchange {
    struct http_context *context;
    struct MHD_Connection *connection;
    struct peer *peer;
    struct generation *generation; /* a reference; the one in use when the request arrived */
    const struct conf *conf;       /* of the generation */
    enum exchange_phase phase;
    LIST_ENTRY(exchange) place; /* in its thread's list of exchanges with an incomplete head */
    bool is_incomplete;         /* it is in that list */
    const struct route *route;  /* NULL: no route matches */
    size_t endpoint;            /* the route's index in the metrics' dimension ENDPOINT */
    char allow[64];             /* the path's methods, if the request has another method */
    bool plain_errors;          /* errors have the form of the inference protocol */
    char method[16], path[256];
    bool path_is_cut; /* the path was longer, so no route matches */
    char id[ID_SIZE], traceparent[TRACEPARENT_LENGTH + 1];
    struct head head;
    struct error refusal; /* the error to answer once the request is complete */
    bool closes;          /* the connection ends after the answer */
    struct upload upload;
    struct request *request;        /* a reference, or NULL */
    struct reload_result *reload;   /* a reference, or NULL */
    const struct model_info *model; /* NULL until one is chosen */
    size_t model_index;             /* in the generation; set if one is chosen */
    const struct key *key;          /* the key in the request, or NULL */
    int64_t timeout_ns;             /* for pause, queue and work together */
    bool is_shortened;              /* the client shortened timeout_ns */
    int64_t pause_begin_ns;         /* see exchange_pause; 0: none */
    int64_t paused_ns;              /* the part of timeout_ns that the pause took */
    size_t inference_header;        /* Inference-Header-Content-Length of the answer; 0: none */
    int status;                     /* of the answer; 0: none yet */
    size_t length, sent; /* bytes of the answer's body, and how many of them are known to be sent */
    int64_t begin_ns;
    int64_t upload_ns; /* when the upload of a request for a worker began; 0: none */
};

/* MHD_OPTION_URI_LOG_CALLBACK: makes the exchange; `context` is the struct http_context. NULL if
 * there is no memory; the connection is closed then. */
void *exchange_begin(void *context, const char *uri, struct MHD_Connection *connection);

/* The head is complete: reads method, X-Request-Id and traceparent. */
void exchange_identify(struct exchange *x, const char *method);

/* Reads X-Request-Timeout-Ms, which can only shorten request_timeout_ms. ERR_PARAMETER. */
int exchange_read_timeout(struct exchange *x, struct error *err);

/* To be called when libmicrohttpd is about to refuse a request of this thread with `status`. If
 * libmicrohttpd must not send the answer (see head_refused), this function sends it, and shuts the
 * socket down for sending. */
void exchange_refused(int status);

/* MHD_OPTION_NOTIFY_COMPLETED: counts, logs and frees. */
void exchange_end(void *context, struct MHD_Connection *connection, void **exchange,
                  enum MHD_RequestTerminationCode how);

/* Suspends the connection until `completion`, of x->request or x->reload, is finished, for at most
 * `timeout_ns`; then the route's `resume` is called. True: the caller must start the work now.
 * False: `completion` is already finished, because the client has left or the service ends. */
bool exchange_suspend(struct exchange *x, struct completion *completion, int64_t timeout_ns);

/* Suspends the connection before its body is read, for `ns` or until the service ends; then the
 * handler is called as if the headers had just arrived. At most once for each exchange. */
void exchange_pause(struct exchange *x, int64_t ns);

/* The value of the first request header with this name; NULL if there is none. */
const char *exchange_header(const struct exchange *x, const char *name);

/* Returns the number of request headers with this name. `*last` is the value of the last one; NULL
 * if it has none. */
size_t exchange_headers(const struct exchange *x, const char *name, const char **last);

#endif
