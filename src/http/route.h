/* What answers a method at a path: routes.def lists all. */
#ifndef RESNEXT_HTTP_ROUTE_H
#define RESNEXT_HTTP_ROUTE_H

#include <microhttpd.h>

#include "base/error.h"

struct exchange;

/* Which servers have a route. Without admin_listen there is no admin server. */
enum route_place {
    AT_SERVICE = 1,
    AT_ADMIN = 2,
    AT_LONE_SERVICE = 4, /* the service without an admin server */
    AT_BOTH = AT_SERVICE | AT_ADMIN,
    AT_METRICS = AT_ADMIN | AT_LONE_SERVICE,
};

enum route_trait {
    IS_OPEN = 1,  /* needs no key */
    IS_PROBE = 2, /* health or metrics, which machines ask for all the time */
};

struct route {
    const char *path, *method;
    /* Called when the whole request has come. Queues an answer or, if there is a `resume`, may
     * suspend the connection; `resume` is called when the result is there. */
    enum MHD_Result (*answer)(struct exchange *x);
    enum MHD_Result (*resume)(struct exchange *x);
    enum route_place place;
    unsigned traits;
    /* In place of `answer`: makes x->request from the body, for the workers (work.h). Such a
     * request is refused while the server is overloaded. */
    int (*prepare)(struct exchange *x, struct error *err);
};

#define ROUTE(path, method, answer, place, traits) enum MHD_Result answer(struct exchange *x);
#define ROUTE_RESUMED(path, method, answer, resume, place, traits)                                 \
    enum MHD_Result answer(struct exchange *x);                                                    \
    enum MHD_Result resume(struct exchange *x);
#define ROUTE_WORK(path, prepare) int prepare(struct exchange *x, struct error *err);
#include "http/routes.def"

#endif
