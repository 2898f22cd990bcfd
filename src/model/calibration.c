#include "model/calibration.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/strict_json.h"

const char *calibration_layer_name(const struct layer *layers, size_t count, size_t i)
{
    return layer_has_kernel(&layers[i]) && i + 1 < count ? layer_label(&layers[i]) : NULL;
}

int calibration_create(struct calibration *out, const struct layer *layers, size_t count,
                       struct error *err)
{
    size_t floats = 0;
    for (size_t i = 0; i < count; i++) /* at most 2^17 channels in each of some 10^3 layers */
        floats += 3 * (size_t)layers[i].shape.out_c;
    *out = (struct calibration){.layers = calloc(count, sizeof *out->layers),
                                .numbers = calloc(floats, sizeof *out->numbers)};
    if (!out->layers || !out->numbers) {
        calibration_destroy(out);
        return error_set(err, ERR_NO_MEMORY, "no memory for a calibration");
    }
    float *at = out->numbers;
    for (size_t i = 0; i < count; i++) {
        size_t channels = (size_t)layers[i].shape.out_c;
        if (calibration_layer_name(layers, count, i))
            out->layers[i] = (struct calibration_layer){at, at + channels, at + 2 * channels};
        at += 3 * channels;
    }
    return ERR_OK;
}

void calibration_destroy(struct calibration *calibration)
{
    free(calibration->layers);
    free(calibration->numbers);
    *calibration = (struct calibration){0};
}

void calibration_bind(struct calibration *calibration, const char *sha256, const float mean[3],
                      const float std[3])
{
    memcpy(calibration->sha256, sha256, sizeof calibration->sha256);
    memcpy(calibration->mean, mean, sizeof calibration->mean);
    memcpy(calibration->std, std, sizeof calibration->std);
}

/* The limits of a number: wider than any network needs, and far from where products overflow. */
struct rule {
    const char *key;
    double min, max;
    bool whole;
};
static const struct rule scale_rule = {"scale", 1e-12, 1e12, false};
static const struct rule zero_rule = {"zero", 0, 255, true};
static const struct rule relu_zero_rule = {"zero", 0, 0, true}; /* clipping at 0 is the ReLU */
static const struct rule mean_rule = {"mean", -1e14, 1e14, false};
/* Of pixels, as config.json may have them. */
static const struct rule pixel_mean_rule = {"mean", 0, 1, false};
static const struct rule pixel_std_rule = {"std", 1e-3, 1e3, false};

static bool keeps(const struct rule *rule, double value)
{
    return value >= rule->min && value <= rule->max && (!rule->whole || value == floor(value));
}

static const struct rule *zero_rule_of(const struct layer *layer)
{
    return layer->relu ? &relu_zero_rule : &zero_rule;
}

bool calibration_layer_is_sane(const struct calibration_layer *numbers, const struct layer *layer)
{
    for (size_t c = 0; c < (size_t)layer->shape.out_c; c++)
        if (!keeps(&scale_rule, numbers->scale[c]) ||
            !keeps(zero_rule_of(layer), numbers->zero[c]) || !keeps(&mean_rule, numbers->mean[c]))
            return false;
    return true;
}

static int take_number(const struct rule *rule, const json_t *json, float *out, struct error *err)
{
    double value = json_number_value(json);
    if (!json_is_number(json) || !keeps(rule, value))
        return error_set(err, ERR_MODEL_INVALID, "%s: not a %s of %g to %g", rule->key,
                         rule->whole ? "whole number" : "number", rule->min, rule->max);
    *out = (float)value;
    return ERR_OK;
}

/* One number for all channels, or one for each. */
static int take_numbers(const struct rule *rule, const json_t *layer, float *out, size_t channels,
                        struct error *err)
{
    const json_t *json = json_object_get(layer, rule->key);
    bool list = json_is_array(json);
    if (!json)
        return error_set(err, ERR_MODEL_INVALID, "%s is missing", rule->key);
    if (list && json_array_size(json) != channels)
        return error_set(err, ERR_MODEL_INVALID, "%s: %zu numbers for %zu channels", rule->key,
                         json_array_size(json), channels);
    int code = ERR_OK;
    for (size_t c = 0; code == ERR_OK && c < channels; c++)
        code = take_number(rule, list ? json_array_get(json, c) : json, &out[c], err);
    return code;
}

static int take_layer(const struct calibration_layer *out, const json_t *json,
                      const struct layer *layer, struct error *err)
{
    size_t channels = (size_t)layer->shape.out_c;
    if (!json)
        return error_set(err, ERR_MODEL_INVALID, "it is missing");
    if (!json_is_object(json) || json_object_size(json) > 3)
        return error_set(err, ERR_MODEL_INVALID, "not an object of scale, zero and mean");
    int code = take_numbers(&scale_rule, json, out->scale, channels, err);
    if (code == ERR_OK)
        code = take_numbers(zero_rule_of(layer), json, out->zero, channels, err);
    return code != ERR_OK ? code : take_numbers(&mean_rule, json, out->mean, channels, err);
}

/* Files written before the classifier's features were float32 have their scales, which are not
 * needed. */
static const char former_entry[] = "avg_pool";

static int take_layers(struct calibration *out, const json_t *json, const struct layer *layers,
                       size_t count, struct error *err)
{
    size_t named = 0;
    if (!json_is_object(json))
        return error_set(err, ERR_MODEL_INVALID, "layers is not an object");
    for (size_t i = 0; i < count; i++) {
        const char *name = calibration_layer_name(layers, count, i);
        if (!name)
            continue;
        named++;
        int code = take_layer(&out->layers[i], json_object_get(json, name), &layers[i], err);
        if (code != ERR_OK)
            return error_prefix(err, code, "layer %s", name);
    }
    named += json_object_get(json, former_entry) != NULL;
    if (json_object_size(json) != named)
        return error_set(err, ERR_MODEL_INVALID, "%zu layers, but the network has %zu",
                         json_object_size(json), named);
    return ERR_OK;
}

static bool is_sha256(const char *text)
{
    return text && strlen(text) == SAFETENSORS_SHA256_TEXT - 1 &&
           strspn(text, "0123456789abcdef") == SAFETENSORS_SHA256_TEXT - 1;
}

static bool is_method(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    for (size_t i = 0; i < length; i++)
        if (!isgraph((unsigned char)text[i]))
            return false;
    return length > 0 && length < CALIBRATION_METHOD_MAX;
}

static int take_head(struct calibration *out, const json_t *root, struct error *err)
{
    const json_t *version = json_object_get(root, "version");
    const char *sha256 = json_string_value(json_object_get(root, "weights_sha256"));
    const char *method = json_string_value(json_object_get(root, "method"));
    const json_t *images = json_object_get(root, "images");
    if (!json_is_integer(version))
        return error_set(err, ERR_MODEL_INVALID, "version is missing");
    if (json_integer_value(version) != CALIBRATION_VERSION)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "version is %lld; version %d is read",
                         (long long)json_integer_value(version), CALIBRATION_VERSION);
    if (!is_sha256(sha256))
        return error_set(err, ERR_MODEL_INVALID,
                         "weights_sha256 is not a SHA-256 in lower-case hexadecimal");
    if (!is_method(method))
        return error_set(err, ERR_MODEL_INVALID, "method is not a word");
    if (!json_is_integer(images) || json_integer_value(images) < 1 ||
        json_integer_value(images) > CALIBRATION_IMAGES_MAX)
        return error_set(err, ERR_MODEL_INVALID, "images is not a whole number of 1 to %d",
                         CALIBRATION_IMAGES_MAX);
    if (json_object_size(root) > 7)
        return error_set(err, ERR_MODEL_INVALID, "there is an unknown key");
    strcpy(out->sha256, sha256);
    strcpy(out->method, method);
    out->images = (int)json_integer_value(images);
    int code = take_numbers(&pixel_mean_rule, root, out->mean, 3, err);
    return code == ERR_OK ? take_numbers(&pixel_std_rule, root, out->std, 3, err) : code;
}

int calibration_parse(struct calibration *out, const struct layer *layers, size_t count,
                      const char *bytes, size_t length, struct error *err)
{
    json_t *root;
    int code = strict_json_object(bytes, length, &root, err);
    if (code != ERR_OK)
        return code;
    code = calibration_create(out, layers, count, err);
    if (code == ERR_OK) {
        code = take_head(out, root, err);
        if (code == ERR_OK)
            code = take_layers(out, json_object_get(root, "layers"), layers, count, err);
        if (code != ERR_OK)
            calibration_destroy(out);
    }
    json_decref(root);
    return code;
}

/* Significant digits. Nine reproduce a float exactly. */
enum { DIGITS = 6, DIGITS_EXACT = 9 };

/* Writes one number for all channels if they are equal, or else a list. */
static void put_numbers(FILE *file, const char *key, const float *numbers, size_t channels,
                        int digits)
{
    size_t listed = 1;
    for (size_t c = 1; c < channels; c++)
        if (numbers[c] != numbers[0])
            listed = channels;
    fprintf(file, "\"%s\": %s", key, listed > 1 ? "[" : "");
    for (size_t c = 0; c < listed; c++)
        fprintf(file, "%s%.*g", c ? "," : "", digits, (double)numbers[c]);
    fputs(listed > 1 ? "]" : "", file);
}

static void put_layers(FILE *file, const struct calibration *calibration,
                       const struct layer *layers, size_t count)
{
    const char *separator = "\n";
    for (size_t i = 0; i < count; i++) {
        const char *name = calibration_layer_name(layers, count, i);
        const struct calibration_layer *layer = &calibration->layers[i];
        size_t channels = (size_t)layers[i].shape.out_c;
        if (!name)
            continue;
        fprintf(file, "%s  \"%s\": {", separator, name);
        put_numbers(file, "scale", layer->scale, channels, DIGITS);
        fputs(",\n    ", file);
        put_numbers(file, "zero", layer->zero, channels, DIGITS);
        fputs(",\n    ", file);
        put_numbers(file, "mean", layer->mean, channels, DIGITS);
        fputs("}", file);
        separator = ",\n";
    }
}

/* Fills the open file `aside`, closes it and puts it in the place of `path`. */
static int write_aside(const struct calibration *calibration, const struct layer *layers,
                       size_t count, const char *aside, const char *path, FILE *file,
                       struct error *err)
{
    fprintf(file, "{\"version\": %d, \"weights_sha256\": \"%s\",\n ", CALIBRATION_VERSION,
            calibration->sha256);
    put_numbers(file, "mean", calibration->mean, 3, DIGITS_EXACT);
    fputs(", ", file);
    put_numbers(file, "std", calibration->std, 3, DIGITS_EXACT);
    fprintf(file, ",\n \"method\": \"%s\", \"images\": %d, \"layers\": {", calibration->method,
            calibration->images);
    put_layers(file, calibration, layers, count);
    fputs("\n}}\n", file);
    bool written = !ferror(file) && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int saved = errno;
    fclose(file);
    if (written && rename(aside, path) == 0)
        return ERR_OK;
    return error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(written ? errno : saved));
}

int calibration_write(const struct calibration *calibration, const struct layer *layers,
                      size_t count, const char *path, struct error *err)
{
    char aside[4096];
    if (snprintf(aside, sizeof aside, "%s.%d.part", path, (int)getpid()) >= (int)sizeof aside)
        return error_set(err, ERR_IO, "the path %.80s... is too long", path);
    FILE *file = fopen(aside, "wxe");
    if (!file)
        return error_set(err, ERR_IO, "cannot write %s: %s", aside, strerror(errno));
    int code = write_aside(calibration, layers, count, aside, path, file, err);
    if (code != ERR_OK)
        unlink(aside);
    return code;
}
