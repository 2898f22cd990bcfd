#include "http/cors.h"

#include <string.h>

#include "http/handlers.h"
#include "http/reply.h"

/* The origin that may use the service, as configured, or NULL. Nobody's pages see the admin front.
 */
static const char *allowed_origin(const struct exchange *x)
{
    return x->context->is_admin ? NULL : x->conf->cors_origin;
}

bool cors_is_preflight(const struct exchange *x)
{
    return allowed_origin(x) && strcmp(x->method, "OPTIONS") == 0 && exchange_header(x, "Origin") &&
           exchange_header(x, "Access-Control-Request-Method");
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

bool cors_add_headers(const struct exchange *x, struct MHD_Response *response)
{
    const char *allowed = allowed_origin(x), *origin = exchange_header(x, "Origin");
    if (!allowed)
        return true;
    bool any = strcmp(allowed, "*") == 0;
    /* A cache must not give one origin's answer to another. */
    bool ok = any || add(response, "Vary", "Origin");
    if (!ok || !origin || !(any || strcmp(origin, allowed) == 0))
        return ok;
    ok = add(response, "Access-Control-Allow-Origin", allowed);
    if (!cors_is_preflight(x))
        return ok && add(response, "Access-Control-Expose-Headers",
                         "X-Request-Id, Retry-After, WWW-Authenticate, "
                         "Inference-Header-Content-Length");
    return ok && add(response, "Access-Control-Allow-Methods", "GET, HEAD, POST") &&
           add(response, "Access-Control-Allow-Headers",
               "Authorization, Content-Type, X-API-Key, X-Request-Id, X-Request-Timeout-Ms, "
               "Inference-Header-Content-Length, traceparent") &&
           add(response, "Access-Control-Max-Age", "86400");
}

enum MHD_Result preflight_answer(struct exchange *x)
{
    return reply_nothing(x);
}
