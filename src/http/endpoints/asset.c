/* The web page and the contract: files that lie in the program. */
#include "http/endpoints/asset.h"

#include <string.h>

#include "http/reply.h"

/* If-None-Match is a list of tags, each perhaps with W/ before it, or a star. */
static bool is_known_to_client(const struct exchange *x, const struct asset *asset)
{
    const char *tags = exchange_header(x, "If-None-Match");
    return tags && (strcmp(tags, "*") == 0 || strstr(tags, asset->etag));
}

enum MHD_Result asset_answer(struct exchange *x)
{
    const struct asset *asset = (const struct asset *)x->route;
    const struct reply_header headers[] = {
        {"ETag", asset->etag},
        {"Cache-Control", "no-cache"}, /* ask each time: what is shown fits the server */
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
         "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"Referrer-Policy", "no-referrer"},
        {NULL, NULL},
    };
    /* With 304, the library sends the headers only, Content-Length as it would be. */
    int status = is_known_to_client(x, asset) ? 304 : 200;
    return reply_constant(x, status, asset->content_type, asset->bytes, asset->length, headers);
}
