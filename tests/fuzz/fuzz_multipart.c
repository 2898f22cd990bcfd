/* A Content-Type, a line end, and a body that is cut with the boundary it announces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "http/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct slice s, const uint8_t *data, size_t size)
{
    CHECK(s.length == 0 ||
          ((const uint8_t *)s.bytes >= data && (const uint8_t *)s.bytes + s.length <= data + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    struct multipart_part parts[8];
    struct error err;
    size_t count = 0;
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    char *type = end ? strndup((const char *)data, (size_t)(end - data)) : NULL;
    if (type && multipart_is_multipart(type) && multipart_boundary(type, boundary, &err) == ERR_OK)
        multipart_parse(end + 1, size - (size_t)(end + 1 - data), boundary, parts, 8, &count, &err);
    for (size_t i = 0; i < count; i++) {
        check_inside(parts[i].name, data, size);
        check_inside(parts[i].file_name, data, size);
        check_inside(parts[i].data, data, size);
    }
    free(type);
    return 0;
}
