/* A picture of any bytes, decoded exactly and fast, turned upright and not, and drawn over. */
#include <stdint.h>
#include <stdlib.h>

#include "image/overlay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void draw(const struct preprocess_spec *spec, const struct preprocess_options *options,
                 const uint8_t *data, size_t size)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    const struct overlay_grid grid = {2, 3, values};
    struct error err;
    uint8_t *overlay;
    size_t length;
    if (overlay_draw(spec, options, &grid, data, size, &overlay, &length, &err) == ERR_OK)
        free(overlay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct preprocess_spec spec = {
        .size = 7, .resize = 9, .interpolation = INTERPOLATION_BICUBIC};
    struct preprocess_options options = {.limits.max_pixels = 200000, .orientation = EXIF_APPLY};
    struct preprocess_report report;
    struct preprocessor *p;
    struct error err;
    uint8_t rgb[7 * 7 * 3];
    if (preprocessor_create(&p, &err))
        return 0;
    preprocessor_run(p, &spec, &options, data, size, rgb, &report, &err);
    draw(&spec, &options, data, size);
    options.orientation = EXIF_IGNORE;
    options.decode = DECODE_FAST;
    options.pillow = PILLOW_9_4;
    preprocessor_run(p, &spec, &options, data, size, rgb, &report, &err);
    preprocessor_destroy(p);
    return 0;
}
