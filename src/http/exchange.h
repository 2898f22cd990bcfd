/* One HTTP request and its answer, from the request line to the log line. Made, used and ended by
 * the HTTP thread that its connection belongs to, and by no other.
 *
 * Its phases:
 *   HEADERS   the request line has come
 *   UPLOAD    the headers were fine; the body is coming, if there is one
 *   WAITING   the connection is suspended; `request` is with the server, or a reload runs
 *   ANSWERED  the answer is queued
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
    const struct conf *conf; /* of the start: what takes effect only at a restart */
    struct server *server;
    struct reload *reload;
    struct monitor *monitor;
    bool is_admin;  /* this is admin_listen's server */
    bool has_admin; /* there is one */
    int threads;    /* that speak HTTP here */
};

enum exchange_phase { EXCHANGE_HEADERS, EXCHANGE_UPLOAD, EXCHANGE_WAITING, EXCHANGE_ANSWERED };

struct exchange {
    struct http_context *context;
    struct MHD_Connection *connection;
    struct peer *peer;
    struct generation *generation; /* a reference: the one in use when the request came */
    const struct conf *conf;       /* the generation's */
    enum exchange_phase phase;
    LIST_ENTRY(exchange) place; /* among those of its thread whose head is not complete, if: */
    bool is_incomplete;
    const struct route *route; /* NULL: none fits */
    size_t endpoint;           /* the route's index in the metrics' dimension ENDPOINT */
    char allow[64];            /* the methods of the path, if its own is none of them */
    bool plain_errors;         /* errors have the form of the inference protocol */
    char method[16], path[256];
    bool path_is_cut; /* it was longer, and so leads nowhere */
    char id[ID_SIZE], traceparent[TRACEPARENT_LENGTH + 1];
    struct head head;
    struct error refusal; /* the answer, once the request is complete */
    bool closes;          /* the answer ends the connection */
    struct upload upload;
    struct request *request;        /* a reference, or NULL */
    struct reload_result *reload;   /* likewise */
    const struct model_info *model; /* NULL until one is chosen */
    size_t model_index;             /* in the generation; if one is chosen */
    const struct key *key;          /* that was shown, or NULL */
    int64_t timeout_ns;             /* for pause, queue and work */
    bool is_shortened;              /* by its client */
    int64_t pause_begin_ns;         /* see exchange_pause; 0: none */
    int64_t paused_ns;              /* of timeout_ns */
    size_t inference_header;        /* Inference-Header-Content-Length of the answer; 0: none */
    int status;                     /* of the answer; 0: none yet */
    size_t length, sent; /* bytes of the answer's body, and how many are known to be gone */
    int64_t begin_ns;
    int64_t upload_ns; /* when the upload of work began; 0: there is none */
};

/* MHD_OPTION_URI_LOG_CALLBACK: makes the exchange; `context` is the struct http_context. NULL
 * without memory, and the connection is closed then. */
void *exchange_begin(void *context, const char *uri, struct MHD_Connection *connection);

/* The head is complete: reads method, X-Request-Id and traceparent. */
void exchange_identify(struct exchange *x, const char *method);

/* Reads X-Request-Timeout-Ms, which can only shorten request_timeout_ms. ERR_PARAMETER. */
int exchange_read_timeout(struct exchange *x, struct error *err);

/* libmicrohttpd is about to refuse, with `status`, a request of this thread. If it must not answer
 * itself (head_refused), this sends the answer and shuts the socket down for sending. */
void exchange_refused(int status);

/* MHD_OPTION_NOTIFY_COMPLETED: counts, logs and frees. */
void exchange_end(void *context, struct MHD_Connection *connection, void **exchange,
                  enum MHD_RequestTerminationCode how);

/* Suspends the connection until `completion`, of x->request or x->reload, is finished, for at most
 * `timeout_ns`; then the route's `resume` is called. True: the work is to be started now. False: it
 * is finished already, because the client has left or the service ends. */
bool exchange_suspend(struct exchange *x, struct completion *completion, int64_t timeout_ns);

/* Suspends the connection before its body is read, once, for `ns` or until the service ends; then
 * the handler is called as if the headers had just come. */
void exchange_pause(struct exchange *x, int64_t ns);

/* A request header's first value, NULL if there is none. */
const char *exchange_header(const struct exchange *x, const char *name);

/* How many request headers have this name, and the last one's value, NULL if it has none. */
size_t exchange_headers(const struct exchange *x, const char *name, const char **last);

#endif
