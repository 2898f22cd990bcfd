/* Values in JSON that say how pictures are prepared. */
#ifndef RESNEXT_MODEL_PICTURE_VALUES_H
#define RESNEXT_MODEL_PICTURE_VALUES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "image/preprocess.h"

/* The edge of an input, and before the crop. */
enum { MODEL_EDGE_MIN = 8, MODEL_EDGE_MAX = 1024, MODEL_RESIZE_MAX = 4096 };

/* Filters, as Hugging Face writes them: Pillow's numbers. */
enum { PILLOW_BILINEAR = 2, PILLOW_BICUBIC = 3 };

/* Whether a value is an integer from `low` to `high`. */
bool picture_integer(const json_t *value, int low, int high, int *out);

/* Says that a required key is missing, and what to add. ERR_MODEL_INVALID. */
int picture_missing(const char *key, const char *advice, struct error *err);

/* Sets spec->resize to size / crop_pct, rounded down. ERR_MODEL_INVALID if that is not from
 * spec->size to MODEL_RESIZE_MAX. */
int picture_resize(double crop_pct, struct preprocess_spec *spec, struct error *err);

/* Sets the mean and std of a spec by keys of these names. ERR_MODEL_INVALID. */
int picture_mean(const json_t *object, const char *key, struct preprocess_spec *spec,
                 struct error *err);
int picture_std(const json_t *object, const char *key, struct preprocess_spec *spec,
                struct error *err);

#endif
