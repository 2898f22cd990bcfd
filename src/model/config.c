#include "model/config.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/file.h"
#include "model/strict_json.h"

enum { RESIZE_MAX = 4096 };

/* Skips decimal digits; false if there is none. */
static bool skip_number(const char **s)
{
    const char *start = *s;
    while (isdigit((unsigned char)**s))
        (*s)++;
    return *s > start;
}

/* "_2" of wide_resnet50_2. */
static bool skip_width(const char **s)
{
    return *(*s)++ == '_' && skip_number(s);
}

/* "_32x4d" of resnext50_32x4d. */
static bool skip_paths(const char **s)
{
    return *(*s)++ == '_' && skip_number(s) && *(*s)++ == 'x' && skip_number(s) && *(*s)++ == 'd';
}

static bool skip_word(const char **s, const char *word)
{
    size_t n = strlen(word);
    bool found = strncmp(*s, word, n) == 0;
    if (found)
        *s += n;
    return found;
}

/* Every other name of timm's, also with these tensors, computes something else: resnet50d has an
 * average pool in its shortcut, resnetaa50 and resnetblur50 filter before they stride, ... A tag
 * ("resnet50.a1_in1k") only says how the weights were trained. */
static bool is_served(const char *s)
{
    bool (*suffix)(const char **) = NULL;
    if (skip_word(&s, "wide_resnet"))
        suffix = skip_width;
    else if (skip_word(&s, "resnext"))
        suffix = skip_paths;
    else if (!skip_word(&s, "resnet"))
        return false;
    skip_number(&s);
    if (suffix && *s == '_' && !suffix(&s))
        return false;
    return *s == '\0' || *s == '.';
}

static int check_architecture(const json_t *root, struct error *err)
{
    const json_t *value = json_object_get(root, "architecture");
    if (!value || json_is_null(value))
        return ERR_OK;
    if (!json_is_string(value))
        return error_set(err, ERR_MODEL_INVALID, "architecture is not a string");
    if (!is_served(json_string_value(value)))
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "architecture %.60s is not served; resnet50, wide_resnet50_2, "
                         "resnext50_32x4d and others of these three forms are",
                         json_string_value(value));
    return ERR_OK;
}

static int check_pool(const json_t *object, struct error *err)
{
    const char *pool = json_string_value(json_object_get(object, "global_pool"));
    if (pool && strcmp(pool, "avg") != 0)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "global_pool %.60s is not served; avg is",
                         pool);
    return ERR_OK;
}

/* Arguments that changed the network when it was made; those that cannot matter here are let by. */
static int check_arguments(const json_t *root, struct error *err)
{
    static const char *const harmless[] = {"num_classes",    "in_chans",        "drop_rate",
                                           "drop_path_rate", "drop_block_rate", "global_pool"};
    const char *key;
    json_t *value;
    json_t *arguments = json_object_get(root, "model_args");
    json_object_foreach(arguments, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
            known = known || strcmp(key, harmless[i]) == 0;
        if (!known)
            return error_set(err, ERR_MODEL_UNSUPPORTED,
                             "model_args has %.60s: a network changed by it is not served", key);
    }
    int code = check_pool(arguments, err);
    return code == ERR_OK ? check_pool(root, err) : code;
}

static int missing(const char *key, const char *advice, struct error *err)
{
    return error_set(err, ERR_MODEL_INVALID, "%s is missing: %s", key, advice);
}

static bool integer_in(const json_t *value, int low, int high, int *out)
{
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < low || n > high)
        return false;
    *out = (int)n;
    return true;
}

static int take_size(const json_t *picture, struct preprocess_spec *spec, struct error *err)
{
    const json_t *value = json_object_get(picture, "input_size");
    int channels, height, width;
    if (!value)
        return missing("input_size", "add it ([3, 224, 224] for most networks)", err);
    if (json_array_size(value) != 3 || !integer_in(json_array_get(value, 0), 3, 3, &channels) ||
        !integer_in(json_array_get(value, 1), MODEL_EDGE_MIN, MODEL_EDGE_MAX, &height) ||
        !integer_in(json_array_get(value, 2), MODEL_EDGE_MIN, MODEL_EDGE_MAX, &width))
        return error_set(err, ERR_MODEL_INVALID, "input_size is not [3, N, N] with N from %d to %d",
                         MODEL_EDGE_MIN, MODEL_EDGE_MAX);
    if (height != width)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "input_size is %d x %d; only square inputs are served", height, width);
    spec->size = height;
    return ERR_OK;
}

/* timm: floor(input / crop_pct); resize_size names the edge outright. */
static int take_resize(const json_t *picture, struct preprocess_spec *spec, struct error *err)
{
    const json_t *edge = json_object_get(picture, "resize_size");
    const json_t *crop = json_object_get(picture, "crop_pct");
    if (edge && !integer_in(edge, spec->size, RESIZE_MAX, &spec->resize))
        return error_set(err, ERR_MODEL_INVALID, "resize_size is not an integer from %d to %d",
                         spec->size, RESIZE_MAX);
    if (edge)
        return ERR_OK;
    if (!crop)
        return missing("crop_pct", "add it (timm's default is 0.875), or resize_size", err);
    double resize = floor(spec->size / json_number_value(crop));
    if (!json_is_number(crop) || !(resize >= spec->size && resize <= RESIZE_MAX))
        return error_set(err, ERR_MODEL_INVALID,
                         "crop_pct is not a number up to 1 that makes the resized edge at most %d",
                         RESIZE_MAX);
    spec->resize = (int)resize;
    return ERR_OK;
}

/* The index of a string in `names`, or -1. */
static int choice_of(const json_t *value, const char *const names[2])
{
    const char *text = json_string_value(value);
    for (int i = 0; text && i < 2; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

static int take_interpolation(const json_t *picture, struct preprocess_spec *spec,
                              struct error *err)
{
    static const char *const names[] = {
        [INTERPOLATION_BILINEAR] = "bilinear", [INTERPOLATION_BICUBIC] = "bicubic"};
    const json_t *value = json_object_get(picture, "interpolation");
    if (!value)
        return missing("interpolation", "add \"bilinear\" or \"bicubic\" (timm's default)", err);
    int choice = choice_of(value, names);
    if (choice < 0)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "interpolation is not \"bilinear\" or \"bicubic\"");
    spec->interpolation = (enum interpolation)choice;
    return ERR_OK;
}

/* Files older than the key mean "center". */
static int take_crop_mode(const json_t *picture, struct preprocess_spec *spec, struct error *err)
{
    static const char *const names[] = {[CROP_CENTER] = "center", [CROP_SQUASH] = "squash"};
    const json_t *value = json_object_get(picture, "crop_mode");
    int choice = value ? choice_of(value, names) : CROP_CENTER;
    if (choice < 0)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "crop_mode is not \"center\" or \"squash\"");
    spec->crop_mode = (enum crop_mode)choice;
    return ERR_OK;
}

static int take_triple(const json_t *picture, const char *key, double low, double high,
                       const char *usual, float out[3], struct error *err)
{
    const json_t *value = json_object_get(picture, key);
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

static int take_picture(const json_t *picture, struct preprocess_spec *spec, struct error *err)
{
    int rc = take_size(picture, spec, err);
    if (rc == ERR_OK)
        rc = take_resize(picture, spec, err);
    if (rc == ERR_OK)
        rc = take_interpolation(picture, spec, err);
    if (rc == ERR_OK)
        rc = take_crop_mode(picture, spec, err);
    if (rc == ERR_OK)
        rc = take_triple(picture, "mean", 0, 1, "[0.485, 0.456, 0.406]", spec->mean, err);
    if (rc == ERR_OK)
        rc = take_triple(picture, "std", 1e-3, 1e3, "[0.229, 0.224, 0.225]", spec->std, err);
    return rc;
}

/* A fine-tuned network has the true number at the root and its ancestor's in pretrained_cfg. */
static int take_classes(const json_t *root, const json_t *picture, int *classes, struct error *err)
{
    const json_t *value = json_object_get(root, "num_classes");
    if (!value)
        value = json_object_get(picture, "num_classes");
    *classes = 0;
    if (value && !integer_in(value, 1, MODEL_CLASSES_MAX, classes))
        return error_set(err, ERR_MODEL_INVALID, "num_classes is not an integer from 1 to %d",
                         MODEL_CLASSES_MAX);
    return ERR_OK;
}

static int add_label(struct label_list *labels, const json_t *value, struct error *err)
{
    if (!json_is_string(value))
        return error_set(err, ERR_MODEL_INVALID, "label %zu is not a string", labels->count);
    return label_list_add(labels, json_string_value(value), json_string_length(value), err);
}

/* A list, or a map from class id to name. */
static int take_labels(const json_t *names, struct label_list *labels, struct error *err)
{
    bool is_map = json_is_object(names);
    if (!is_map && !json_is_array(names))
        return error_set(err, ERR_MODEL_INVALID, "neither a list nor a map from class id to name");
    size_t count = is_map ? json_object_size(names) : json_array_size(names);
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        char id[24];
        snprintf(id, sizeof id, "%zu", i);
        const json_t *name = is_map ? json_object_get(names, id) : json_array_get(names, i);
        rc = name ? add_label(labels, name, err)
                  : error_set(err, ERR_MODEL_INVALID, "no name for class %zu", i);
    }
    return rc;
}

static int find_labels(const json_t *root, const json_t *picture, struct model_config *out,
                       struct error *err)
{
    const json_t *names = json_object_get(root, "label_names");
    if (!names)
        names = json_object_get(picture, "label_names");
    if (!names || json_is_null(names))
        return ERR_OK;
    int rc = take_labels(names, &out->labels, err);
    if (rc != ERR_OK)
        return error_prefix(err, rc, "label_names");
    size_t classes = (size_t)out->classes;
    if (classes != 0 && out->labels.count != classes)
        return error_set(err, ERR_MODEL_INVALID, "label_names has %zu names for %zu classes",
                         out->labels.count, classes);
    return ERR_OK;
}

static int take_all(struct model_config *out, const json_t *root, struct error *err)
{
    const json_t *picture = json_object_get(root, "pretrained_cfg");
    if (!picture)
        picture = root;
    if (!json_is_object(picture))
        return error_set(err, ERR_MODEL_INVALID, "pretrained_cfg is not an object");
    int rc = check_architecture(root, err);
    if (rc == ERR_OK)
        rc = check_arguments(root, err);
    if (rc == ERR_OK)
        rc = take_picture(picture, &out->preprocess, err);
    if (rc == ERR_OK)
        rc = take_classes(root, picture, &out->classes, err);
    if (rc == ERR_OK)
        rc = find_labels(root, picture, out, err);
    return rc;
}

int model_config_parse(struct model_config *out, const char *bytes, size_t length,
                       struct error *err)
{
    json_t *root;
    *out = (struct model_config){0};
    int rc = strict_json_object(bytes, length, &root, err);
    if (rc != ERR_OK)
        return rc;
    rc = take_all(out, root, err);
    json_decref(root);
    if (rc != ERR_OK)
        model_config_destroy(out);
    return rc;
}

int model_config_read(struct model_config *out, const char *path, struct error *err)
{
    char *bytes;
    size_t length;
    int rc = file_read_all(path, MODEL_CONFIG_FILE_MAX, &bytes, &length, err);
    if (rc != ERR_OK)
        return rc;
    rc = model_config_parse(out, bytes, length, err);
    free(bytes);
    return rc == ERR_OK ? ERR_OK : error_prefix(err, rc, "%s", path);
}

void model_config_destroy(struct model_config *config)
{
    label_list_destroy(&config->labels);
    *config = (struct model_config){0};
}
