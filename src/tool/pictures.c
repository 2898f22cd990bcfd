#include "tool/pictures.h"

struct preprocess_options picture_preprocess_options(const struct picture_options *options)
{
    return (struct preprocess_options){
        .limits.max_pixels = (uint64_t)options->max_pixels,
        .orientation = options->orientation,
        .decode = DECODE_EXACT,
        .pillow = options->pillow,
    };
}

int picture_decode(struct session *session, const struct picture_options *options, const char *path,
                   struct file_bytes *bytes, struct error *err)
{
    const struct preprocess_options how = picture_preprocess_options(options);
    struct preprocess_report report;
    int code = files_read(path, (size_t)options->max_bytes, bytes, err);
    return code == ERR_OK ? session_decode(session, &how, bytes->data, bytes->length, &report, err)
                          : code;
}

void picture_random(const struct preprocess_spec *spec, uint8_t *rgb)
{
    size_t bytes = (size_t)spec->size * (size_t)spec->size * 3; /* size is at most 4096 */
    uint32_t state = 1;
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525 + 1013904223;
        rgb[i] = (uint8_t)(state >> 24);
    }
}
