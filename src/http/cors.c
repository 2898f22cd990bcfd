#include "http/cors.h"

#include <string.h>

#include "http/response.h"
#include "http/token.h"

/* The origin that may use the service, as configured, or NULL. Nobody's pages see the admin server.
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

bool cors_is_header_list(const char *text)
{
    if (strlen(text) > CORS_HEADERS_MAX)
        return false;
    for (;;) {
        text += strspn(text, " \t");
        size_t length = strspn(text, TOKEN_CHARACTERS);
        text += length + strspn(text + length, " \t");
        if (length == 0 || *text == '\0')
            return length > 0;
        if (*text++ != ',')
            return false;
    }
}

/* The headers that the answer depends on: a cache must not give the answer for one origin to
 * another. */
static bool add_vary(const struct exchange *x, bool any, struct MHD_Response *response)
{
    if (strcmp(x->method, "OPTIONS") == 0)
        return response_add(
            response, "Vary",
            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
            "Access-Control-Request-Private-Network");
    return any || response_add(response, "Vary", "Origin");
}

/* The requested headers are allowed by name, since a star would not include Authorization. A server
 * in a private network opens itself to public pages only if their origin is named. */
static bool add_permissions(const struct exchange *x, bool any, struct MHD_Response *response)
{
    const char *headers = exchange_header(x, "Access-Control-Request-Headers");
    const char *private = exchange_header(x, "Access-Control-Request-Private-Network");
    bool is_private = private && strcmp(private, "true") == 0;
    return response_add(response, "Access-Control-Allow-Methods", "GET, HEAD, POST") &&
           response_add(response, "Access-Control-Max-Age", "86400") &&
           response_add(response, "Access-Control-Allow-Headers",
                        headers && cors_is_header_list(headers) ? headers : NULL) &&
           response_add(response, "Access-Control-Allow-Private-Network",
                        is_private && !any ? "true" : NULL);
}

bool cors_add_headers(const struct exchange *x, struct MHD_Response *response)
{
    const char *allowed = allowed_origin(x), *origin = exchange_header(x, "Origin");
    if (!allowed)
        return true;
    bool any = strcmp(allowed, "*") == 0;
    if (!add_vary(x, any, response))
        return false;
    if (!any && !(origin && strcmp(origin, allowed) == 0))
        return true;
    if (!response_add(response, "Access-Control-Allow-Origin", allowed))
        return false;
    if (cors_is_preflight(x))
        return add_permissions(x, any, response);
    return response_add(response, "Access-Control-Expose-Headers",
                        "X-Request-Id, Retry-After, WWW-Authenticate, Allow, ETag, "
                        "Inference-Header-Content-Length");
}
