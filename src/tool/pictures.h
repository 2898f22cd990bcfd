/* Reading pictures, with the options of all commands that do. */
#ifndef RESNEXT_TOOL_PICTURES_H
#define RESNEXT_TOOL_PICTURES_H

#include <stdint.h>

#include "model/session.h"
#include "tool/files.h"

struct picture_options {
    int64_t max_bytes, max_pixels;
    enum exif_orientation orientation;
    enum pillow pillow;
};

/* The same as options of a preprocessor. */
struct preprocess_options picture_preprocess_options(const struct picture_options *options);

/* Reads a file into `bytes` and decodes it to session->rgb. The errors of files_read and
 * session_decode. */
int picture_decode(struct session *session, const struct picture_options *options, const char *path,
                   struct file_bytes *bytes, struct error *err);

/* Fills `rgb`, [size][size][3], with random pixels, the same in every call. */
void picture_random(const struct preprocess_spec *spec, uint8_t *rgb);

#endif
