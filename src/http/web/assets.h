/* The web page's files and the contract, as src/http/web/embed.sh puts them into the program.
 * Read-only. */
#ifndef RESNEXT_HTTP_WEB_ASSETS_H
#define RESNEXT_HTTP_WEB_ASSETS_H

#include <stddef.h>

struct asset {
    const char *path; /* where it is served; a route of its own */
    const char *content_type;
    const char *etag; /* quoted, changes with the bytes */
    const unsigned char *bytes;
    size_t length;
};

extern const struct asset assets[];
extern const size_t asset_count;

#endif
