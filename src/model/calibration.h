/* calibration.json: what int8 needs beside the float weights. `resnext calibrate` measures it on
 * pictures like those that the network will see. man/resnext.1 describes the format:
 *
 *   {"version": 2, "weights_sha256": "...", "mean": [R,G,B], "std": [R,G,B],
 *    "method": "mse", "images": 900,
 *    "cascade": {"margin": L, "agreement": 0.995, "fraction": 0.041},
 *    "layers": {"conv1": {"scale": S, "zero": Z, "mean": M, "rounding": R}, ...}}
 *
 * There is an entry for each convolution. S, Z and M are of its output. They, and the pixels' mean
 * and std, are one number for all channels or a list with one number per channel; struct
 * quantization of nn/quantize.h says what they mean. Pools over windows have none, since their
 * output has the scales of their input; neither has the network's input, which has the scales of
 * the pixels, nor have attention, the classifier's features and the logits, which are float32.
 *
 * R is of a layer's weights: the bits of quantize_layer's `rounding` in base64. It may be left out,
 * and then weights are rounded to the nearest. "cascade", which may be left out too, is a struct
 * cascade. Version 1, which is read as well, has neither, but may have numbers of "avg_pool", which
 * are ignored. */
#ifndef RESNEXT_MODEL_CALIBRATION_H
#define RESNEXT_MODEL_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/cascade.h"
#include "model/safetensors.h"
#include "nn/layer.h"
#include "nn/quantize.h"

enum {
    CALIBRATION_VERSION = 2,
    CALIBRATION_METHOD_MAX = 32,
    CALIBRATION_IMAGES_MAX = 1000000000,
};

/* The numbers of a layer's output, [channels] each; NULL for a layer that has none. The bits of its
 * weights' rounding; NULL: to the nearest. */
struct calibration_layer {
    float *scale, *zero, *mean;
    uint8_t *rounding; /* malloc */
};

struct calibration {
    char sha256[SAFETENSORS_SHA256_TEXT]; /* of the model.safetensors it was measured with */
    float mean[3], std[3];                /* of the pixels it was measured with */
    char method[CALIBRATION_METHOD_MAX];  /* how ranges were chosen: printable ASCII, 1 or more */
    int images;                           /* how many it was measured on */
    struct cascade cascade;
    struct calibration_layer *layers; /* [count] of the network */
    size_t count;
    float *numbers; /* behind `layers` */
};

/* The name of a layer's entry; NULL if it has none. */
const char *calibration_layer_name(const struct layer *layer);

/* Allocates the numbers of these layers, all 0. After ERR_OK the caller destroys `*out`.
 * ERR_NO_MEMORY. */
int calibration_create(struct calibration *out, const struct layer *layers, size_t count,
                       struct error *err);
void calibration_destroy(struct calibration *calibration);

/* The number that a file has for a scale or a mean. What is measured and rounded with it is what a
 * network computes that reads the file. */
float calibration_number(double number);

/* Whether a file may have these numbers for a layer. */
bool calibration_layer_is_sane(const struct calibration_layer *numbers, const struct layer *layer);

/* Whether a file may have this cascade. */
bool calibration_cascade_is_sane(const struct cascade *cascade);

/* The bytes of the rounding of a layer, which has a kernel. */
size_t calibration_rounding_bytes(const struct layer *layer);

/* What the pixels' bytes stand for. */
struct pixel_scales {
    float scale[3], zero[3];
};

/* Lists the quantization of each value as struct network_options has it, [count + 1]: of pixels
 * with a calibration's mean and std, in `pixels`, and of the layers. It refers to both, which the
 * caller keeps. */
void calibration_values(const struct calibration *calibration, const struct layer *layers,
                        struct pixel_scales *pixels, struct quantization *values);

/* Sets the weights and the pixels that a calibration was measured with. */
void calibration_bind(struct calibration *calibration, const char *sha256, const float mean[3],
                      const float std[3]);

/* The most bytes that a file for these layers may have. */
size_t calibration_file_max(const struct layer *layers, size_t count);

/* Parses the bytes of a file for a network with these layers. It must have the entries of these
 * layers and no others, its numbers must be finite, in range, and one or as many as there are
 * channels, and a rounding must have as many bits as there are weights. After ERR_OK the caller
 * destroys `*out`. ERR_MODEL_INVALID (the message names the layer), ERR_MODEL_UNSUPPORTED (another
 * version), ERR_NO_MEMORY. */
int calibration_parse(struct calibration *out, const struct layer *layers, size_t count,
                      const char *bytes, size_t length, struct error *err);

/* Writes the whole file or nothing, and replaces a file that exists. Numbers of layers become those
 * of calibration_number, and a list of equal numbers becomes one number; a cascade stays as it is.
 * ERR_IO, ERR_NO_MEMORY. */
int calibration_write(const struct calibration *calibration, const struct layer *layers,
                      size_t count, const char *path, struct error *err);

#endif
