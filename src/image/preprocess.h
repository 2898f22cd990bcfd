/* Turns a JPEG into the input pixels of a network: decode, resize (antialiased, 8 bits between the
 * passes), crop. The pixels are equal to Pillow's, byte for byte. */
#ifndef RESNEXT_IMAGE_PREPROCESS_H
#define RESNEXT_IMAGE_PREPROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/picture.h"
#include "image/jpeg.h"

enum interpolation { INTERPOLATION_BILINEAR, INTERPOLATION_BICUBIC };

enum crop_mode {
    CROP_CENTER, /* short edge to `resize`, long edge in proportion (truncated), centre crop */
    CROP_SQUASH, /* both edges to `resize`, centre crop */
};

/* Where the centre crop begins if half of what it leaves out is no whole number of pixels. */
enum crop_offset {
    CROP_OFFSET_EVEN,  /* at the even neighbour (torchvision, timm) */
    CROP_OFFSET_FLOOR, /* at the lower one (transformers) */
};

/* How a model's pictures are prepared. 1 <= size <= resize <= 4096. */
struct preprocess_spec {
    int size;   /* edge of the network's input */
    int resize; /* edge before the crop */
    enum interpolation interpolation;
    enum crop_mode crop_mode;
    enum crop_offset crop_offset;
    float mean[3], std[3]; /* of pixels scaled to 0..1, in RGB order */
};

/* Resize and crop: the upright picture of width x height pixels is resized to out_width x
 * out_height; the crop begins at (left, top) of the result. */
struct preprocess_geometry {
    int out_width, out_height, left, top;
};
struct preprocess_geometry preprocess_geometry(const struct preprocess_spec *spec, int width,
                                               int height);

/* Whether Image.resize of this version of Pillow makes the vertical pass over an upright picture of
 * width x height pixels before the horizontal one. The order matters, because each pass rounds to 8
 * bits. */
bool preprocess_down_first(enum pillow pillow, const struct preprocess_geometry *geometry,
                           int width, int height);

struct preprocess_options {
    struct jpeg_limits limits;
    enum exif_orientation orientation;
    enum decode_mode decode;
    enum pillow pillow;
};

struct preprocess_report {
    int width, height; /* from the JPEG's header, before it is turned */
    int64_t decode_ns, preprocess_ns;
};

/* Decoder, buffers and coefficient tables, reused from picture to picture. One thread at a time. */
struct preprocessor;
int preprocessor_create(struct preprocessor **out, struct error *err);
void preprocessor_destroy(struct preprocessor *p);

/* Writes size * size RGB pixels to `rgb`. ERR_NOT_JPEG, ERR_IMAGE_UNDECODABLE, ERR_IMAGE_TOO_LARGE,
 * ERR_DEADLINE, ERR_NO_MEMORY. After a failure, the report has the values that
 * are known by then. */
int preprocessor_run(struct preprocessor *p, const struct preprocess_spec *spec,
                     const struct preprocess_options *options, const uint8_t *jpeg, size_t length,
                     uint8_t *rgb, struct preprocess_report *report, struct error *err);

/* out[i] = (rgb[i] / 255 - mean) / std, rounded as by PyTorch, for `pixels` RGB triples. */
void preprocess_normalize(const struct preprocess_spec *spec, const uint8_t *rgb, size_t pixels,
                          float *out);

#endif
