/* What is at a path, for a method: routes.def lists all. */
#ifndef RESNEXT_HTTP_ROUTE_H
#define RESNEXT_HTTP_ROUTE_H

#include <microhttpd.h>

struct exchange;

/* Where a route is. Without admin_listen there is no admin server. */
enum route_place {
    AT_SERVICE, /* the service */
    AT_BOTH,
    AT_METRICS, /* the admin server, or the service if there is none */
    AT_ADMIN,   /* the admin server */
};

enum route_trait {
    TAKES_BODY = 1, /* is work: refused while the server is overloaded */
    IS_OPEN = 2,    /* needs no key */
    IS_PROBE = 4,   /* health or metrics, which machines ask for all the time */
};

struct route {
    const char *path, *method;
    /* Called once the whole request is there. Queues an answer or, if there is a `resume`, may
     * suspend the connection; then that is called when the result has come. */
    enum MHD_Result (*answer)(struct exchange *x);
    enum MHD_Result (*resume)(struct exchange *x);
    enum route_place place;
    unsigned traits;
};

#define ROUTE(path, method, answer, place, traits) enum MHD_Result answer(struct exchange *x);
#define ROUTE_RESUMED(path, method, answer, resume, place, traits)                                 \
    enum MHD_Result answer(struct exchange *x);                                                    \
    enum MHD_Result resume(struct exchange *x);
#include "http/routes.def"

#endif
