#include "model/config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/config_labels.h"
#include "model/file.h"
#include "model/image_processor.h"
#include "model/strict_json.h"

static int take_size(const json_t *picture, struct preprocess_spec *spec, struct error *err)
{
    const json_t *value = json_object_get(picture, "input_size");
    int channels, height, width;
    if (!value)
        return picture_missing(
            "input_size", "add it ([3, 224, 224] for most networks), or preprocessor_config.json",
            err);
    if (json_array_size(value) != 3 ||
        !picture_integer(json_array_get(value, 0), 3, 3, &channels) ||
        !picture_integer(json_array_get(value, 1), MODEL_EDGE_MIN, MODEL_EDGE_MAX, &height) ||
        !picture_integer(json_array_get(value, 2), MODEL_EDGE_MIN, MODEL_EDGE_MAX, &width))
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
    if (edge && !picture_integer(edge, spec->size, MODEL_RESIZE_MAX, &spec->resize))
        return error_set(err, ERR_MODEL_INVALID, "resize_size is not an integer from %d to %d",
                         spec->size, MODEL_RESIZE_MAX);
    if (edge)
        return ERR_OK;
    if (!crop)
        return picture_missing("crop_pct", "add it (timm's default is 0.875), or resize_size", err);
    return picture_resize(json_number_value(crop), spec, err);
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

static int take_choice(const json_t *value, const char *key, const char *const names[2], int *out,
                       struct error *err)
{
    *out = choice_of(value, names);
    return *out >= 0 ? ERR_OK
                     : error_set(err, ERR_MODEL_UNSUPPORTED, "%s is not \"%s\" or \"%s\"", key,
                                 names[0], names[1]);
}

/* Files older than crop_mode mean "center". */
static int take_choices(const json_t *picture, struct preprocess_spec *spec, struct error *err)
{
    static const char *const filters[] = {
        [INTERPOLATION_BILINEAR] = "bilinear", [INTERPOLATION_BICUBIC] = "bicubic"};
    static const char *const crops[] = {[CROP_CENTER] = "center", [CROP_SQUASH] = "squash"};
    const json_t *interpolation = json_object_get(picture, "interpolation");
    const json_t *crop_mode = json_object_get(picture, "crop_mode");
    int filter, crop = CROP_CENTER;
    if (!interpolation)
        return picture_missing("interpolation", "add \"bilinear\" or \"bicubic\" (timm's default)",
                               err);
    int code = take_choice(interpolation, "interpolation", filters, &filter, err);
    if (code == ERR_OK && crop_mode)
        code = take_choice(crop_mode, "crop_mode", crops, &crop, err);
    if (code != ERR_OK)
        return code;
    spec->interpolation = (enum interpolation)filter;
    spec->crop_mode = (enum crop_mode)crop;
    return ERR_OK;
}

static int take_picture(const json_t *picture, struct preprocess_spec *spec, struct error *err)
{
    int code = take_size(picture, spec, err);
    if (code == ERR_OK)
        code = take_resize(picture, spec, err);
    if (code == ERR_OK)
        code = take_choices(picture, spec, err);
    if (code == ERR_OK)
        code = picture_mean(picture, "mean", spec, err);
    if (code == ERR_OK)
        code = picture_std(picture, "std", spec, err);
    return code;
}

/* A fine-tuned network has its own number at the root and its parent's in pretrained_cfg. */
static int take_classes(const json_t *root, const json_t *picture, int *classes, struct error *err)
{
    const json_t *value = json_object_get(root, "num_classes");
    if (!json_is_said(value))
        value = json_object_get(picture, "num_classes");
    *classes = 0;
    if (json_is_said(value) && !picture_integer(value, 1, MODEL_CLASSES_MAX, classes))
        return error_set(err, ERR_MODEL_INVALID, "num_classes is not an integer from 1 to %d",
                         MODEL_CLASSES_MAX);
    return ERR_OK;
}

/* Our own key "activation", or Hugging Face's "problem_type". */
static int take_activation(const json_t *picture, struct model_config *out, struct error *err)
{
    const char *const names[] = {activation_name(ACTIVATION_SOFTMAX),
                                 activation_name(ACTIVATION_SIGMOID)};
    static const char *const types[] = {
        [ACTIVATION_SOFTMAX] = "single_label_classification",
        [ACTIVATION_SIGMOID] = "multi_label_classification",
    };
    const json_t *value = json_object_get(picture, "activation");
    const json_t *type = json_object_get(picture, "problem_type");
    int named = choice_of(value, names), typed = choice_of(type, types);
    if (json_is_said(value) && named < 0)
        return error_set(err, ERR_MODEL_INVALID, "activation is not \"softmax\" or \"sigmoid\"");
    if (json_is_said(type) && typed < 0)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "problem_type is neither single_label_classification nor "
                         "multi_label_classification; other networks are not served");
    if (json_is_said(value) && json_is_said(type) && named != typed)
        return error_set(err, ERR_MODEL_INVALID,
                         "activation and problem_type contradict each other");
    out->activation_is_known = json_is_said(value) || json_is_said(type);
    if (out->activation_is_known)
        out->activation = (enum activation)(json_is_said(value) ? named : typed);
    return ERR_OK;
}

/* The keys of the picture, and then those of the answers. */
static const char *const merged_keys[] = {"input_size", "resize_size",   "crop_pct",
                                          "crop_mode",  "interpolation", "mean",
                                          "std",        "activation",    "problem_type"};
enum { PICTURE_KEYS = 7, MERGED_KEYS = sizeof merged_keys / sizeof merged_keys[0] };

/* Collects them from the root and from pretrained_cfg. */
static int merge(json_t *picture, const json_t *root, const json_t *own, struct error *err)
{
    for (size_t i = 0; i < MERGED_KEYS; i++) {
        const char *key = merged_keys[i];
        json_t *outer = json_object_get(root, key);
        json_t *inner = json_object_get(own, key);
        json_t *value = json_is_said(outer) ? outer : inner;
        if (json_is_said(outer) && json_is_said(inner) && !json_is_same(outer, inner))
            return error_set(err, ERR_MODEL_INVALID,
                             "%s is one thing at the root and another in pretrained_cfg; "
                             "leave the wrong one out",
                             key);
        if (value && json_object_set(picture, key, value) != 0)
            return error_set(err, ERR_NO_MEMORY, "no memory for config.json");
    }
    return ERR_OK;
}

/* Hugging Face's names for the same keys may be present, too. */
static int check_aliases(const json_t *object, const json_t *picture, struct error *err)
{
    static const char *const names[][2] = {{"image_mean", "mean"}, {"image_std", "std"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *value = json_object_get(object, names[i][0]);
        if (json_is_said(value) && !json_is_same(value, json_object_get(picture, names[i][1])))
            return error_set(err, ERR_MODEL_INVALID,
                             "%s is not the same as %s, which is what is read; make them equal",
                             names[i][0], names[i][1]);
    }
    return ERR_OK;
}

static int check_resample(const json_t *object, enum interpolation interpolation, struct error *err)
{
    const json_t *value = json_object_get(object, "resample");
    int number = interpolation == INTERPOLATION_BILINEAR ? PILLOW_BILINEAR : PILLOW_BICUBIC;
    if (!json_is_said(value) || json_integer_value(value) == number)
        return ERR_OK;
    return error_set(err, ERR_MODEL_INVALID,
                     "resample is not %d, which interpolation, which is what is read, would be; "
                     "make them equal",
                     number);
}

/* The input's edge in torchvision and Hugging Face: a number, a list of one or two numbers, or
 * height and width. */
static int check_crop_size(const json_t *object, int size, struct error *err)
{
    const json_t *value = json_object_get(object, "crop_size");
    bool right = !json_is_said(value) || json_number_value(value) == size ||
                 (json_number_value(json_object_get(value, "height")) == size &&
                  json_number_value(json_object_get(value, "width")) == size);
    for (size_t i = 0; json_array_size(value) <= 2 && i < json_array_size(value); i++)
        right = (right || i == 0) && json_number_value(json_array_get(value, i)) == size;
    return right ? ERR_OK
                 : error_set(err, ERR_MODEL_INVALID,
                             "crop_size is not the edge of input_size, %d, which is what is read; "
                             "make them equal",
                             size);
}

/* Checks keys of other programs that mean the same as those that are read. */
static int check_beside(const json_t *object, const json_t *picture,
                        const struct preprocess_spec *spec, struct error *err)
{
    int code = check_aliases(object, picture, err);
    if (code == ERR_OK)
        code = check_resample(object, spec->interpolation, err);
    return code == ERR_OK ? check_crop_size(object, spec->size, err) : code;
}

/* The first key by which config.json says how pictures are prepared, be it in part; or NULL. */
static const char *picture_key(const json_t *picture)
{
    for (size_t i = 0; i < PICTURE_KEYS; i++)
        if (json_is_said(json_object_get(picture, merged_keys[i])))
            return merged_keys[i];
    return NULL;
}

/* preprocessor_config.json beside a config.json that says how pictures are prepared, too. */
static int check_processor(const struct preprocess_spec *spec,
                           const struct preprocess_spec *processor, struct error *err)
{
    const struct {
        const char *key;
        bool same;
    } all[] = {
        {"input_size", spec->size == processor->size},
        {"crop_pct or resize_size", spec->resize == processor->resize},
        {"interpolation", spec->interpolation == processor->interpolation},
        {"crop_mode", spec->crop_mode == processor->crop_mode},
        {"mean", memcmp(spec->mean, processor->mean, sizeof spec->mean) == 0},
        {"std", memcmp(spec->std, processor->std, sizeof spec->std) == 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (!all[i].same)
            return error_set(err, ERR_MODEL_INVALID,
                             "%s says something else than preprocessor_config.json; make them "
                             "agree, or leave one out",
                             all[i].key);
    return ERR_OK;
}

/* From config.json, or else from preprocessor_config.json. */
static int take_preprocess(struct model_config *out, const json_t *root, const json_t *own,
                           const json_t *picture, const struct preprocess_spec *processor,
                           struct error *err)
{
    struct preprocess_spec *spec = &out->preprocess;
    const char *key = picture_key(picture);
    if (processor && !key) {
        *spec = *processor;
        return ERR_OK;
    }
    int code = take_picture(picture, spec, err);
    if (code == ERR_OK)
        code = check_beside(root, picture, spec, err);
    if (code == ERR_OK)
        code = check_beside(own, picture, spec, err);
    if (!processor)
        return code;
    code = error_prefix(err, code, "%s is here and not only in preprocessor_config.json", key);
    return code == ERR_OK ? check_processor(spec, processor, err) : code;
}

static int take_all(struct model_config *out, const json_t *root, const json_t *own,
                    const struct preprocess_spec *processor, size_t outputs, struct error *err)
{
    json_t *picture = json_object();
    int code = picture ? architecture_read(&out->architecture, root, own, err)
                       : error_set(err, ERR_NO_MEMORY, "no memory for config.json");
    if (code == ERR_OK)
        code = merge(picture, root, own, err);
    if (code == ERR_OK)
        code = take_preprocess(out, root, own, picture, processor, err);
    if (code == ERR_OK)
        code = take_classes(root, own, &out->classes, err);
    if (code == ERR_OK)
        code = take_activation(picture, out, err);
    if (code == ERR_OK)
        code = config_labels_read(out, root, own, outputs, err);
    json_decref(picture);
    return code;
}

int model_config_parse(struct model_config *out, const char *bytes, size_t length,
                       const struct preprocess_spec *processor, size_t outputs, struct error *err)
{
    json_t *root;
    *out = (struct model_config){0};
    int code = strict_json_object(bytes, length, &root, err);
    if (code != ERR_OK)
        return code;
    const json_t *own = json_object_get(root, "pretrained_cfg");
    code = !json_is_said(own) || json_is_object(own)
               ? take_all(out, root, json_is_said(own) ? own : root, processor, outputs, err)
               : error_set(err, ERR_MODEL_INVALID, "pretrained_cfg is not an object");
    json_decref(root);
    if (code != ERR_OK)
        model_config_destroy(out);
    return code;
}

int model_config_read(struct model_config *out, const char *folder, size_t outputs,
                      struct error *err)
{
    char path[FILE_PATH_MAX], *bytes;
    size_t length;
    bool has_processor;
    struct preprocess_spec processor;
    int code = image_processor_read(&processor, &has_processor, folder, err);
    if (code == ERR_OK)
        code = file_path(path, folder, "config.json", err);
    if (code == ERR_OK)
        code = file_read_all(path, MODEL_CONFIG_FILE_MAX, &bytes, &length, err);
    if (code != ERR_OK)
        return code;
    code = model_config_parse(out, bytes, length, has_processor ? &processor : NULL, outputs, err);
    free(bytes);
    return error_prefix(err, code, "%s", path);
}

void model_config_destroy(struct model_config *config)
{
    label_list_destroy(&config->labels);
    *config = (struct model_config){0};
}
