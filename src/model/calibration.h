/* calibration.json: what int8 needs beside the float weights. Measured by `resnext calibrate` on
 * pictures such as the network will see; see man/resnext.1 for the format:
 *
 *   {"version": 1, "weights_sha256": "...", "mean": [R,G,B], "std": [R,G,B],
 *    "method": "mse", "images": 900,
 *    "layers": {"conv1": {"scale": S, "zero": Z, "mean": M}, ..., "avg_pool": {...}}}
 *
 * with one entry for what each layer puts out. S, Z and M, and the pixels' mean and std, are
 * numbers for all channels or lists with one a channel, as in struct quantization of nn/quantize.h.
 * A max pool has the scales of its input, the input those of the pixels, and logits are float32. */
#ifndef RESNEXT_MODEL_CALIBRATION_H
#define RESNEXT_MODEL_CALIBRATION_H

#include <stdbool.h>

#include "base/error.h"
#include "model/safetensors.h"
#include "nn/layer.h"

enum {
    CALIBRATION_VERSION = 1,
    CALIBRATION_FILE_MAX = 64 << 20,
    CALIBRATION_METHOD_MAX = 32,
    CALIBRATION_IMAGES_MAX = 1000000000,
};

/* What is known of a layer's output, [channels] each; NULL for a layer without an entry. */
struct calibration_layer {
    float *scale, *zero, *mean;
};

struct calibration {
    char sha256[SAFETENSORS_SHA256_TEXT]; /* of the model.safetensors that it was measured with */
    float mean[3], std[3];                /* of the pixels then, as config.json has them */
    char method[CALIBRATION_METHOD_MAX];  /* how ranges were chosen: printable ASCII, 1 or more */
    int images;                           /* how many were looked at */
    struct calibration_layer *layers;     /* [count] of the network */
    float *numbers;                       /* behind `layers` */
};

/* What a layer is called in the file; NULL if it has no entry. */
const char *calibration_layer_name(const struct layer *layers, size_t count, size_t i);

/* Room for the numbers of these layers, all 0. `*out` is to be destroyed when ERR_OK is returned.
 * ERR_NO_MEMORY. */
int calibration_create(struct calibration *out, const struct layer *layers, size_t count,
                       struct error *err);
void calibration_destroy(struct calibration *calibration);

/* Whether the numbers of a layer are what a file may have. */
bool calibration_layer_is_sane(const struct calibration_layer *numbers, const struct layer *layer);

/* Notes what it was measured with. */
void calibration_bind(struct calibration *calibration, const char *sha256, const float mean[3],
                      const float std[3]);

/* Reads the bytes of a file for a network of these layers: every layer once and no other, finite
 * numbers in their ranges, as many as there are channels. `*out` is to be destroyed when ERR_OK is
 * returned. ERR_MODEL_INVALID names the layer, ERR_MODEL_UNSUPPORTED (another version),
 * ERR_NO_MEMORY. */
int calibration_parse(struct calibration *out, const struct layer *layers, size_t count,
                      const char *bytes, size_t length, struct error *err);

/* Writes a file whole or not at all, in place of one that is there. Numbers are rounded to six
 * digits, lists of one number become that number. ERR_IO, ERR_NO_MEMORY. */
int calibration_write(const struct calibration *calibration, const struct layer *layers,
                      size_t count, const char *path, struct error *err);

#endif
