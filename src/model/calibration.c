#include "model/calibration.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <nettle/base64.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "model/strict_json.h"

/* The most bytes of a file without roundings. */
enum { NUMBERS_MAX = 64 << 20 };

/* Significant digits in a file. Nine reproduce a float exactly, 17 a double. */
enum { DIGITS = 6, DIGITS_FLOAT = 9, DIGITS_DOUBLE = 17 };

const char *calibration_layer_name(const struct layer *layer)
{
    return layer->kind == LAYER_CONV ? layer_label(layer) : NULL;
}

size_t calibration_rounding_bytes(const struct layer *layer)
{
    return size_ceil_div(conv_weight_count(&layer->shape), 8);
}

size_t calibration_file_max(const struct layer *layers, size_t count)
{
    size_t max = NUMBERS_MAX;
    for (size_t i = 0; i < count; i++)
        if (calibration_layer_name(&layers[i]))
            max += BASE64_ENCODE_RAW_LENGTH(calibration_rounding_bytes(&layers[i]));
    return max;
}

int calibration_create(struct calibration *out, const struct layer *layers, size_t count,
                       struct error *err)
{
    size_t floats = 0;
    for (size_t i = 0; i < count; i++) /* at most 2^17 channels in each of some 10^3 layers */
        floats += 3 * (size_t)layers[i].shape.out_c;
    *out = (struct calibration){.layers = calloc(count, sizeof *out->layers),
                                .count = count,
                                .numbers = calloc(floats, sizeof *out->numbers)};
    if (!out->layers || !out->numbers) {
        calibration_destroy(out);
        return error_set(err, ERR_NO_MEMORY, "no memory for a calibration");
    }
    float *at = out->numbers;
    for (size_t i = 0; i < count; i++) {
        size_t channels = (size_t)layers[i].shape.out_c;
        if (calibration_layer_name(&layers[i]))
            out->layers[i] = (struct calibration_layer){at, at + channels, at + 2 * channels, NULL};
        at += 3 * channels;
    }
    return ERR_OK;
}

void calibration_destroy(struct calibration *calibration)
{
    for (size_t i = 0; calibration->layers && i < calibration->count; i++)
        free(calibration->layers[i].rounding);
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

void calibration_values(const struct calibration *calibration, const struct layer *layers,
                        struct pixel_scales *pixels, struct quantization *values)
{
    for (int c = 0; c < 3; c++) { /* a byte stands for (byte / 255 - mean) / std */
        pixels->scale[c] = 1 / (255 * calibration->std[c]);
        pixels->zero[c] = 255 * calibration->mean[c];
    }
    values[0] = (struct quantization){pixels->scale, pixels->zero, NULL};
    /* A max pool also gets the mean of its input: that is below the pool's, but corrects more than
     * no mean would. */
    for (size_t i = 0; i < calibration->count; i++) {
        const struct calibration_layer *layer = &calibration->layers[i];
        values[i + 1] = layer->scale ? (struct quantization){layer->scale, layer->zero, layer->mean}
                                     : values[layers[i].input];
    }
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
/* Of a cascade. */
static const struct rule margin_rule = {"margin", 1e-30, 1e30, false};
static const struct rule agreement_rule = {"agreement", 0.5, 1, false};
static const struct rule fraction_rule = {"fraction", 0, 1, false};

static bool keeps(const struct rule *rule, double value)
{
    return value >= rule->min && value <= rule->max && (!rule->whole || value == floor(value));
}

static const struct rule *zero_rule_of(const struct layer *layer)
{
    return layer->relu ? &relu_zero_rule : &zero_rule;
}

float calibration_number(double number)
{
    char text[32];
    snprintf(text, sizeof text, "%.*g", DIGITS, number);
    return (float)strtod(text, NULL);
}

bool calibration_layer_is_sane(const struct calibration_layer *numbers, const struct layer *layer)
{
    for (size_t c = 0; c < (size_t)layer->shape.out_c; c++)
        if (!keeps(&scale_rule, numbers->scale[c]) ||
            !keeps(zero_rule_of(layer), numbers->zero[c]) || !keeps(&mean_rule, numbers->mean[c]))
            return false;
    return true;
}

bool calibration_cascade_is_sane(const struct cascade *cascade)
{
    return keeps(&margin_rule, cascade->margin) && keeps(&agreement_rule, cascade->agreement) &&
           keeps(&fraction_rule, cascade->fraction);
}

static int take_number(const struct rule *rule, const json_t *json, double *out, struct error *err)
{
    double value = json_number_value(json);
    if (!json_is_number(json) || !keeps(rule, value))
        return error_set(err, ERR_MODEL_INVALID, "%s: not a %s of %g to %g", rule->key,
                         rule->whole ? "whole number" : "number", rule->min, rule->max);
    *out = value;
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
    for (size_t c = 0; code == ERR_OK && c < channels; c++) {
        double value = 0;
        code = take_number(rule, list ? json_array_get(json, c) : json, &value, err);
        out[c] = (float)value;
    }
    return code;
}

static int take_scales(const struct calibration_layer *out, const json_t *json,
                       const struct layer *layer, struct error *err)
{
    size_t channels = (size_t)layer->shape.out_c;
    int code = take_numbers(&scale_rule, json, out->scale, channels, err);
    if (code == ERR_OK)
        code = take_numbers(zero_rule_of(layer), json, out->zero, channels, err);
    return code != ERR_OK ? code : take_numbers(&mean_rule, json, out->mean, channels, err);
}

/* Decodes base64 to exactly `size` bytes. False if it stands for others. */
static bool decode(const char *text, size_t length, uint8_t *out, size_t size)
{
    struct base64_decode_ctx context;
    size_t decoded = 0;
    base64_decode_init(&context);
    return base64_decode_update(&context, &decoded, out, length, text) && decoded == size &&
           base64_decode_final(&context);
}

static int take_rounding(struct calibration_layer *out, const json_t *json,
                         const struct layer *layer, struct error *err)
{
    size_t count = conv_weight_count(&layer->shape), size = calibration_rounding_bytes(layer);
    size_t length = json_string_length(json);
    if (!json_is_string(json) || length != BASE64_ENCODE_RAW_LENGTH(size))
        return error_set(err, ERR_MODEL_INVALID,
                         "rounding: not the base64 of %zu bytes, a bit for each of %zu weights",
                         size, count);
    out->rounding = malloc(BASE64_DECODE_LENGTH(length));
    if (!out->rounding)
        return error_set(err, ERR_NO_MEMORY, "no memory for the rounding of weights");
    if (!decode(json_string_value(json), length, out->rounding, size))
        return error_set(err, ERR_MODEL_INVALID, "rounding: not the base64 of %zu bytes", size);
    if (count % 8 && out->rounding[size - 1] >> count % 8)
        return error_set(err, ERR_MODEL_INVALID, "rounding: bits after those of %zu weights",
                         count);
    return ERR_OK;
}

/* `version` is of the file. */
static int take_layer(struct calibration_layer *out, const json_t *json, const struct layer *layer,
                      int version, struct error *err)
{
    const json_t *rounding = json_object_get(json, "rounding");
    if (!json)
        return error_set(err, ERR_MODEL_INVALID, "it is missing");
    if (!json_is_object(json) || json_object_size(json) > (rounding ? 4 : 3))
        return error_set(err, ERR_MODEL_INVALID, "not an object of scale, zero and mean%s",
                         rounding ? ", and rounding" : "");
    if (rounding && version < 2)
        return error_set(err, ERR_MODEL_INVALID, "rounding: version 1 has none");
    int code = take_scales(out, json, layer, err);
    return code == ERR_OK && rounding ? take_rounding(out, rounding, layer, err) : code;
}

/* Version 1 has scales of the classifier's features, which were bytes. */
static size_t former_entries(const json_t *json, int version)
{
    return version < 2 && json_object_get(json, "avg_pool");
}

static int take_layers(struct calibration *out, const json_t *json, const struct layer *layers,
                       size_t count, int version, struct error *err)
{
    size_t named = 0;
    if (!json_is_object(json))
        return error_set(err, ERR_MODEL_INVALID, "layers is not an object");
    for (size_t i = 0; i < count; i++) {
        const char *name = calibration_layer_name(&layers[i]);
        if (!name)
            continue;
        named++;
        int code =
            take_layer(&out->layers[i], json_object_get(json, name), &layers[i], version, err);
        if (code != ERR_OK)
            return error_prefix(err, code, "layer %s", name);
    }
    named += former_entries(json, version);
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

static int take_cascade(struct cascade *out, const json_t *json, struct error *err)
{
    if (!json)
        return ERR_OK;
    if (!json_is_object(json) || json_object_size(json) != 3)
        return error_set(err, ERR_MODEL_INVALID,
                         "cascade: not an object of margin, agreement and fraction");
    int code = take_number(&margin_rule, json_object_get(json, "margin"), &out->margin, err);
    if (code == ERR_OK)
        code =
            take_number(&agreement_rule, json_object_get(json, "agreement"), &out->agreement, err);
    if (code == ERR_OK)
        code = take_number(&fraction_rule, json_object_get(json, "fraction"), &out->fraction, err);
    return error_prefix(err, code, "cascade");
}

/* Whether a head has no keys but those of its version. */
static bool has_known_keys(const json_t *root, int version)
{
    return json_object_size(root) <= 7U + (version > 1 && json_object_get(root, "cascade"));
}

static int take_head(struct calibration *out, const json_t *root, int *version_read,
                     struct error *err)
{
    const json_t *version = json_object_get(root, "version");
    const char *sha256 = json_string_value(json_object_get(root, "weights_sha256"));
    const char *method = json_string_value(json_object_get(root, "method"));
    const json_t *images = json_object_get(root, "images");
    if (!json_is_integer(version))
        return error_set(err, ERR_MODEL_INVALID, "version is missing");
    if (json_integer_value(version) < 1 || json_integer_value(version) > CALIBRATION_VERSION)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "version is %lld; versions 1 to %d are read",
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
    *version_read = (int)json_integer_value(version);
    if (!has_known_keys(root, *version_read))
        return error_set(err, ERR_MODEL_INVALID, "there is an unknown key");
    strcpy(out->sha256, sha256);
    strcpy(out->method, method);
    out->images = (int)json_integer_value(images);
    int code = take_numbers(&pixel_mean_rule, root, out->mean, 3, err);
    if (code == ERR_OK)
        code = take_numbers(&pixel_std_rule, root, out->std, 3, err);
    return code == ERR_OK ? take_cascade(&out->cascade, json_object_get(root, "cascade"), err)
                          : code;
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
        int version = 0;
        code = take_head(out, root, &version, err);
        if (code == ERR_OK)
            code = take_layers(out, json_object_get(root, "layers"), layers, count, version, err);
        if (code != ERR_OK)
            calibration_destroy(out);
    }
    json_decref(root);
    return code;
}

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

static void put_scales(FILE *file, const struct calibration_layer *layer, size_t channels)
{
    put_numbers(file, "scale", layer->scale, channels, DIGITS);
    fputs(",\n    ", file);
    put_numbers(file, "zero", layer->zero, channels, DIGITS);
    fputs(",\n    ", file);
    put_numbers(file, "mean", layer->mean, channels, DIGITS);
}

/* With the fewest digits that are read as the same number. */
static void put_double(FILE *file, const char *key, double number)
{
    char text[32];
    for (int digits = DIGITS; digits <= DIGITS_DOUBLE; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    fprintf(file, "\"%s\": %s", key, text);
}

static void put_cascade(FILE *file, const struct cascade *cascade)
{
    fputs(" \"cascade\": {", file);
    put_double(file, margin_rule.key, cascade->margin);
    fputs(", ", file);
    put_double(file, agreement_rule.key, cascade->agreement);
    fputs(", ", file);
    put_double(file, fraction_rule.key, cascade->fraction);
    fputs("},\n", file);
}

static void put_rounding(FILE *file, const uint8_t *bits, size_t size)
{
    enum { BLOCK = 3 << 10 }; /* of whole groups of three bytes, which become four characters */
    char text[BASE64_ENCODE_RAW_LENGTH(BLOCK)];
    fputs(",\n    \"rounding\": \"", file);
    for (size_t at = 0; at < size; at += BLOCK) {
        size_t length = size - at < BLOCK ? size - at : BLOCK;
        base64_encode_raw(text, length, bits + at);
        fwrite(text, 1, BASE64_ENCODE_RAW_LENGTH(length), file);
    }
    fputc('"', file);
}

static void put_layers(FILE *file, const struct calibration *calibration,
                       const struct layer *layers, size_t count)
{
    const char *separator = "\n";
    for (size_t i = 0; i < count; i++) {
        const struct calibration_layer *layer = &calibration->layers[i];
        if (!layer->scale)
            continue;
        fprintf(file, "%s  \"%s\": {", separator, layer_label(&layers[i]));
        put_scales(file, layer, (size_t)layers[i].shape.out_c);
        if (layer->rounding)
            put_rounding(file, layer->rounding, calibration_rounding_bytes(&layers[i]));
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
    put_numbers(file, "mean", calibration->mean, 3, DIGITS_FLOAT);
    fputs(", ", file);
    put_numbers(file, "std", calibration->std, 3, DIGITS_FLOAT);
    fprintf(file, ",\n \"method\": \"%s\", \"images\": %d,\n", calibration->method,
            calibration->images);
    if (calibration->cascade.margin > 0)
        put_cascade(file, &calibration->cascade);
    fputs(" \"layers\": {", file);
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
