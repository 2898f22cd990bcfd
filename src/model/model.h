/* A loaded model folder: network, preprocessing, labels. Immutable after loading; any thread.
 */
#ifndef RESNEXT_MODEL_MODEL_H
#define RESNEXT_MODEL_MODEL_H

#include <stdint.h>

#include "base/error.h"
#include "image/preprocess.h"
#include "model/activation.h"
#include "model/calibration.h"
#include "model/labels.h"
#include "model/template.h"
#include "nn/network.h"

struct model {
    char *path; /* of the folder, as given */
    char template_name[TEMPLATE_NAME_MAX];
    struct template template;
    struct preprocess_spec preprocess;
    enum activation activation;
    int classes;   /* see model_load on a single output */
    char **labels; /* [classes] UTF-8, never NULL */
    enum label_source label_source;
    bool variant_is_assumed; /* nothing says whether the network filters before it strides */
    struct network *network;
    /* In float32, for the pictures that `network` decides by less than cascade.margin; NULL: none.
     */
    struct network *exact;
    struct cascade cascade;
    int64_t parameters;                   /* as PyTorch counts them */
    int64_t multiply_adds;                /* of one image */
    enum precision precision;             /* of its kernels */
    char sha256[SAFETENSORS_SHA256_TEXT]; /* of model.safetensors, lower-case hexadecimal */
};

struct model_options {
    struct kernel_isas isas;
    enum precision precision;
    /* For int8: used instead of the folder's calibration if it is not NULL. */
    const struct calibration *calibration;
};

/* Loads PATH/model.safetensors and PATH/config.json: checks every tensor, folds batch norm, packs
 * weights. int8 also needs PATH/calibration.json, which must have been measured with these weights.
 * If that has a cascade, the float32 network is loaded as well.
 *
 * A network with one output z is a detector: with one label, its class has the score sigmoid(z).
 * With two labels it has two classes with the logits -z and z, as if the classifier had a second
 * row; the score of the first label is 1 - sigmoid(z). ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED
 * (the message names the tensor or key), ERR_IO, ERR_NO_MEMORY. `*out` belongs to the caller. */
int model_load(struct model **out, const char *path, const struct model_options *options,
               struct error *err);
void model_destroy(struct model *model);

/* Checks a folder without reading the weights: names, types and shapes of the tensors, config.json
 * and labels; for int8 also calibration.json and the weights' SHA-256 in it. The errors of
 * model_load with the same options. */
int model_check(const char *path, const struct model_options *options, struct error *err);

/* Reads the weights of a loaded model once more. Opens its folder; ERR_MODEL_INVALID if that has
 * changed, or the errors of model_load. `model` must outlive `*out`, which belongs to the caller.
 * One thread. */
struct model_weights;
int model_weights_open(struct model_weights **out, const struct model *model, struct error *err);
void model_weights_close(struct model_weights *weights);

/* Reads those of layer i, a convolution or the classifier, as network_set_weights had them. They
 * are valid until the next call. The errors of reading the file. */
int model_weights_read(struct model_weights *weights, size_t i, const float **out,
                       struct error *err);

/* How many numbers one picture of the network's input has: size * size * 3. */
size_t model_input_numbers(const struct model *model);

/* Puts picture number `image` of a batch into the workspace's input: [size][size][3] RGB bytes, or
 * numbers that are normalised already and are rounded to the precision. ERR_BAD_REQUEST: the
 * precision is int8, and no pixel has such a number. */
void model_put_image(const struct model *model, struct workspace *workspace, int image,
                     const uint8_t *rgb);
int model_put_tensor(const struct model *model, struct workspace *workspace, int image,
                     const float *numbers, struct error *err);

/* ERR_NO_MEMORY unless the libraries of its kernels have enough memory for `threads` more threads;
 * see network_check_memory. */
int model_check_memory(const struct model *model, int threads, struct error *err);

/* Bytes of packed weights. */
size_t model_weight_bytes(const struct model *model);

/* Compares the networks' convolutions on this machine with plain loops in double, a few output
 * pixels for each shape of a layer. int8 must be exact. ERR_INTERNAL; the message names the first
 * layer that is wrong. */
int model_self_test(const struct model *model, struct error *err);

struct prediction {
    int class_id;
    float score; /* 0 to 1 */
};

/* The class of an id in decimal. ERR_PARAMETER. */
int model_find_class_id(const struct model *model, const char *text, int *class_id,
                        struct error *err);

/* The class that `text` names: a label as it stands, or else an id in decimal. ERR_PARAMETER, also
 * for a label that several classes have, which only the id tells apart, and for the id of another
 * where labels are numbers themselves. */
int model_find_class(const struct model *model, const char *text, int *class_id, struct error *err);

/* ERR_NOT_FINITE unless all logits, [classes], are finite. The functions below need finite ones. */
int model_check_logits(const struct model *model, const float *logits, struct error *err);

/* How much logits would have to change for another decision: the difference between the two
 * largest; with sigmoids, the smallest size of one, as classes of 0 or more are decided for. */
float model_margin(const struct model *model, const float *logits);

/* The scores of all classes, [classes]. */
void model_scores(const struct model *model, const float *logits, float *scores);

/* The k (1..classes) classes with the highest scores, best first; ties go to the lower class id. */
void model_top_k(const struct model *model, const float *logits, int k, struct prediction *out);

#endif
