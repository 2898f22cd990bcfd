/* A picture of any bytes, decoded exactly and fast, given up half way, turned upright and not, and
 * drawn over. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "image/overlay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 7, RGB_BYTES = SIZE * SIZE * 3 };

struct patience {
    int asked, max;
};

static const struct preprocess_spec spec = {
    .size = SIZE, .resize = 9, .interpolation = INTERPOLATION_BICUBIC};
static struct patience patience;

static bool is_patient(void *arg)
{
    struct patience *p = arg;
    return p->asked++ < p->max;
}

static int run(struct preprocessor *p, const struct preprocess_options *options,
               const uint8_t *data, size_t size, int max, uint8_t rgb[RGB_BYTES])
{
    struct preprocess_report report;
    struct error err;
    patience = (struct patience){.max = max};
    return preprocessor_run(p, &spec, options, data, size, rgb, &report, &err);
}

/* What is given up leaves nothing behind for the next picture. */
static void give_up(struct preprocessor *p, const struct preprocess_options *options,
                    const uint8_t *data, size_t size)
{
    uint8_t rgb[RGB_BYTES], again[RGB_BYTES];
    int code = run(p, options, data, size, INT_MAX, rgb), asked = patience.asked;
    int given_up = run(p, options, data, size, asked / 2, again);
    CHECK(code != ERR_OK || given_up == (asked > 0 ? ERR_DEADLINE : ERR_OK));
    CHECK(run(p, options, data, size, INT_MAX, again) == code);
    CHECK(code != ERR_OK || memcmp(rgb, again, sizeof rgb) == 0);
}

static void draw(const struct preprocess_options *options, const uint8_t *data, size_t size)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    const struct overlay_grid grid = {2, 3, values};
    struct error err;
    uint8_t *overlay;
    size_t length;
    patience = (struct patience){.max = INT_MAX};
    if (overlay_draw(&spec, options, &grid, data, size, &overlay, &length, &err) == ERR_OK)
        free(overlay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct preprocess_options options = {.limits = {200000, is_patient, &patience},
                                         .orientation = EXIF_APPLY};
    struct preprocessor *p;
    struct error err;
    uint8_t rgb[RGB_BYTES];
    if (preprocessor_create(&p, &err))
        return 0;
    give_up(p, &options, data, size);
    draw(&options, data, size);
    options.orientation = EXIF_IGNORE;
    options.decode = DECODE_FAST;
    options.pillow = PILLOW_9_4;
    run(p, &options, data, size, INT_MAX, rgb);
    preprocessor_destroy(p);
    return 0;
}
