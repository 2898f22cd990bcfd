/* An inference request: two bytes of Inference-Header-Content-Length (0xffff: none), then the body.
 * It is read against a model of 4 x 4 pixels and 3 classes, and answered with made-up results. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "http/oip/infer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 4, CLASSES = 3, NO_HEADER = 0xffff };

static struct bodies bodies;

static void fill(struct request *r, struct request_part *part)
{
    part->values = calloc(2 * CLASSES, sizeof *part->values);
    CHECK(part->values);
    for (int i = 0; i < r->top_k; i++)
        part->predictions[i] = (struct scored_class){i, 0.25F, "a \"label\""};
}

static void run(struct request *r, const uint8_t *upload, size_t length)
{
    float input[SIZE * SIZE * 3];
    struct error err;
    if (r->codec->decode(r, &err) != ERR_OK)
        return;
    r->bodies = &bodies;
    CHECK(request_reserve_predictions(r, &err) == ERR_OK);
    CHECK(r->part_count >= 1 && r->part_count <= 3 && r->top_k >= 1 && r->top_k <= CLASSES);
    for (size_t i = 0; i < r->part_count; i++) {
        const uint8_t *jpeg = r->parts[i].jpeg;
        if (jpeg)
            CHECK(jpeg >= upload && jpeg + r->parts[i].length <= upload + length);
        else if (r->codec->read_tensor(r, i, input, &err) != ERR_OK)
            return;
        fill(r, &r->parts[i]);
    }
    answer_begin(&r->answer, &bodies);
    CHECK(r->codec->encode(r, &err) == ERR_OK && answer_end(&r->answer, &err) == ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    int header = data[0] | data[1] << 8;
    size_t length = size - 2;
    const struct infer_terms terms = {.size = SIZE,
                                      .classes = CLASSES,
                                      .max_images = 3,
                                      .header_length =
                                          header == NO_HEADER ? INFER_NO_HEADER : header,
                                      .body_length = length};
    uint8_t *upload = malloc(length + 1);
    struct request *r;
    struct error err;
    CHECK(upload && request_create(&r, NULL, 0, 1, 0, upload, &err) == ERR_OK);
    memcpy(upload, data + 2, length);
    r->codec = &infer_codec;
    CHECK(infer_prepare(r, "m", &terms, &err) == ERR_OK);
    run(r, upload, length);
    request_release(r);
    return 0;
}
