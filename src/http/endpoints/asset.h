/* The web page's files and the contract, which src/http/web/embed.sh puts into the program.
 * Read-only. */
#ifndef RESNEXT_HTTP_ENDPOINTS_ASSET_H
#define RESNEXT_HTTP_ENDPOINTS_ASSET_H

#include <stddef.h>

#include "http/route.h"

struct asset {
    struct route route; /* first: an exchange with this route is for this asset */
    const char *content_type;
    const char *etag; /* quoted, changes with the bytes */
    const unsigned char *bytes;
    size_t length;
};

extern const struct asset assets[];
extern const size_t asset_count;

enum MHD_Result asset_answer(struct exchange *x);

#endif
