/* multipart/form-data (RFC 7578, RFC 2046 section 5.1) in a body that is completely in memory:
 * parts are slices of it, nothing is copied. Strict: anything that is not clearly correct is
 * refused. Pure functions; any thread. */
#ifndef RESNEXT_HTTP_MULTIPART_H
#define RESNEXT_HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { MULTIPART_BOUNDARY_MAX = 70 };

/* Bytes of the body, not NUL-terminated; `bytes` is NULL if missing. */
struct slice {
    const char *bytes;
    size_t length;
};

struct multipart_part {
    struct slice name;      /* of the field, as it stands between the quotes; never missing */
    struct slice file_name; /* the same; missing for most fields that are no files */
    struct slice data;
    bool is_file; /* it has a file name, the type image/... or application/octet-stream, or begins
                     as a JPEG does; and is not the empty, nameless file of an empty form field */
};

/* True if a Content-Type's value names multipart/<anything>. */
bool multipart_is_multipart(const char *content_type);

/* The boundary that a Content-Type announces: characters of RFC 2046 (bchars) or of an HTTP token
 * (RFC 9110), in quotes or, without blanks, not. ERR_MULTIPART if it is missing, empty, too long or
 * has others; ERR_MEDIA_TYPE if this is not form-data. */
int multipart_boundary(const char *content_type, char boundary[MULTIPART_BOUNDARY_MAX + 1],
                       struct error *err);

/* Cuts a body into at most `max` parts. ERR_TOO_MANY_PARTS if there are more; ERR_MULTIPART if the
 * body does not end with the closing boundary, a part's header is malformed or longer than 8 KiB, a
 * part is itself multipart or has a transfer encoding. */
int multipart_parse(const void *body, size_t length, const char *boundary,
                    struct multipart_part *parts, size_t max, size_t *count, struct error *err);

#endif
