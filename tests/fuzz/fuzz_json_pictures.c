/* A JSON body with pictures, of which it may have three. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "http/json_pictures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 3 };

static void check(const struct json_pictures *p, const char *body, size_t size)
{
    CHECK(p->count >= 1 && p->count <= (p->is_list ? MAX : 1) && p->top_k >= 0);
    for (size_t i = 0; i < p->count; i++) {
        const struct slice *s = &p->slices[i];
        CHECK(s->bytes > body && s->bytes + s->length < body + size);
        /* Each is decoded where it stands, and none overlaps another. */
        for (size_t j = 0; j < i; j++)
            CHECK(s->bytes >= p->slices[j].bytes + p->slices[j].length ||
                  s->bytes + s->length <= p->slices[j].bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_pictures pictures;
    struct error err;
    char *body = malloc(size);
    CHECK(body);
    memcpy(body, data, size);
    json_pictures_is_json("application/json", body, size);
    size_t expected = json_pictures_estimate(body, size, MAX);
    CHECK(expected <= MAX);
    if (json_pictures_read(body, size, MAX, &pictures, &err) == ERR_OK) {
        CHECK(pictures.count <= expected);
        check(&pictures, body, size);
        free(pictures.slices);
    }
    free(body);
    return 0;
}
