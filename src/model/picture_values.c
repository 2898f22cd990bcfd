#include "model/picture_values.h"

#include <math.h>

bool picture_integer(const json_t *value, int low, int high, int *out)
{
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < low || n > high)
        return false;
    *out = (int)n;
    return true;
}

int picture_missing(const char *key, const char *advice, struct error *err)
{
    return error_set(err, ERR_MODEL_INVALID, "%s is missing: %s", key, advice);
}

int picture_resize(double crop_pct, struct preprocess_spec *spec, struct error *err)
{
    double resize = floor(spec->size / crop_pct);
    if (!(resize >= spec->size && resize <= MODEL_RESIZE_MAX))
        return error_set(err, ERR_MODEL_INVALID,
                         "crop_pct is not a number up to 1 that makes the resized edge at most %d",
                         MODEL_RESIZE_MAX);
    spec->resize = (int)resize;
    return ERR_OK;
}

static int take_triple(const json_t *object, const char *key, double low, double high,
                       const char *usual, float out[3], struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return error_set(err, ERR_MODEL_INVALID, "%s is missing: add it (ImageNet's is %s)", key,
                         usual);
    bool right = json_array_size(value) == 3;
    for (size_t i = 0; right && i < 3; i++) {
        const json_t *item = json_array_get(value, i);
        double x = json_number_value(item);
        right = json_is_number(item) && x >= low && x <= high;
        out[i] = (float)x;
    }
    if (!right)
        return error_set(err, ERR_MODEL_INVALID, "%s is not three numbers from %g to %g", key, low,
                         high);
    return ERR_OK;
}

int picture_mean(const json_t *object, const char *key, struct preprocess_spec *spec,
                 struct error *err)
{
    return take_triple(object, key, 0, 1, "[0.485, 0.456, 0.406]", spec->mean, err);
}

int picture_std(const json_t *object, const char *key, struct preprocess_spec *spec,
                struct error *err)
{
    return take_triple(object, key, 1e-3, 1e3, "[0.229, 0.224, 0.225]", spec->std, err);
}
