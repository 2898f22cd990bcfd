/* A picture of any bytes, decoded exactly and fast, turned upright and not. */
#include <stdint.h>

#include "image/preprocess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct preprocess_spec spec = {
        .size = 7, .resize = 9, .interpolation = INTERPOLATION_BICUBIC};
    struct preprocess_options options = {.max_pixels = 200000, .orientation = EXIF_APPLY};
    struct preprocess_report report;
    struct preprocessor *p;
    uint8_t rgb[7 * 7 * 3];
    if (preprocessor_create(&p, NULL))
        return 0;
    preprocessor_run(p, &spec, &options, data, size, rgb, &report, NULL);
    options.orientation = EXIF_IGNORE;
    options.decode = DECODE_FAST;
    preprocessor_run(p, &spec, &options, data, size, rgb, &report, NULL);
    preprocessor_destroy(p);
    return 0;
}
