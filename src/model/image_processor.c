#include "model/image_processor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/file.h"
#include "model/picture_values.h"
#include "model/strict_json.h"

/* What a class of processors does if the file does not say. */
struct processor {
    const char *name;
    bool default_to_square;
    bool do_center_crop;
    bool has_crop_pct;
};

static const struct processor processors[] = {
    {.name = "ConvNext", .has_crop_pct = true},
    {.name = "ViT", .default_to_square = true},
    {.name = "Bit", .do_center_crop = true},
    {.name = "CLIP", .do_center_crop = true},
};

/* From this size on, ConvNext's do not crop. */
enum { CONVNEXT_SQUASHED = 384 };

/* All keys that are read, or say nothing of a single RGB picture. */
static const char *const known_keys[] = {
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "_valid_processor_keys",
    "do_resize",
    "size",
    "default_to_square",
    "crop_pct",
    "resample",
    "do_center_crop",
    "crop_size",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "do_convert_rgb",
    "data_format",
    "input_data_format",
    "return_tensors",
    "device",
    "disable_grouping",
};

/* Refuses a value. */
static int refuse(const char *key, const json_t *value, const char *served, struct error *err)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    int code = text ? error_set(err, ERR_MODEL_UNSUPPORTED, "%.60s %.60s is not served; %s", key,
                                text, served)
                    : error_set(err, ERR_NO_MEMORY, "no memory for preprocessor_config.json");
    free(text);
    return code;
}

static bool is_known(const char *key)
{
    bool known = false;
    for (size_t i = 0; !known && i < sizeof known_keys / sizeof known_keys[0]; i++)
        known = strcmp(key, known_keys[i]) == 0;
    return known;
}

/* A key that is null or false switches nothing on. */
static int check_keys(const json_t *root, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)root, key, value)
    {
        if (!is_known(key) && json_is_said(value) && !json_is_false(value))
            return refuse(key, value, "leave it out if it changes no picture", err);
    }
    return ERR_OK;
}

/* Whether `type` is NAME and one of the words for a processor. */
static bool is_of(const char *type, const char *name)
{
    static const char *const words[] = {"ImageProcessor", "ImageProcessorFast", "ImageProcessorPil",
                                        "FeatureExtractor"};
    size_t length = strlen(name);
    bool is = false;
    for (size_t i = 0; !is && i < sizeof words / sizeof words[0]; i++)
        is = strncmp(type, name, length) == 0 && strcmp(type + length, words[i]) == 0;
    return is;
}

static int take_processor(const json_t *root, const struct processor **out, struct error *err)
{
    const char *key = "image_processor_type";
    if (!json_is_said(json_object_get(root, key)))
        key = "feature_extractor_type";
    const json_t *value = json_object_get(root, key);
    const char *type = json_string_value(value);
    if (!json_is_said(value))
        return picture_missing("image_processor_type",
                               "add it (that of most ResNets is \"ConvNextImageProcessor\")", err);
    for (size_t i = 0; type && i < sizeof processors / sizeof processors[0]; i++) {
        if (is_of(type, processors[i].name)) {
            *out = &processors[i];
            return ERR_OK;
        }
    }
    return refuse(key, value,
                  "ConvNextImageProcessor, ViTImageProcessor, BitImageProcessor and "
                  "CLIPImageProcessor are",
                  err);
}

static int take_bool(const json_t *root, const char *key, bool usual, bool *out, struct error *err)
{
    const json_t *value = json_object_get(root, key);
    *out = json_is_said(value) ? json_is_true(value) : usual;
    if (json_is_said(value) && !json_is_boolean(value))
        return error_set(err, ERR_MODEL_INVALID, "%s is not true or false", key);
    return ERR_OK;
}

/* A step that every network needs. */
static int require(const json_t *root, const char *key, struct error *err)
{
    bool does;
    int code = take_bool(root, key, true, &does, err);
    return code == ERR_OK && !does ? refuse(key, json_object_get(root, key), "true is", err) : code;
}

/* The number under a key of a size that has no other keys, except null; or NULL. */
static const json_t *alone(const json_t *size, const char *key, const char *other)
{
    const char *each;
    json_t *value;
    json_object_foreach((json_t *)size, each, value)
    {
        if (json_is_said(value) && strcmp(each, key) != 0 && (!other || strcmp(each, other) != 0))
            return NULL;
    }
    return json_object_get(size, key);
}

/* The edge of a square: {"height": N, "width": N}. */
static const json_t *square_edge(const json_t *size)
{
    const json_t *height = alone(size, "height", "width");
    return height && json_is_same(height, json_object_get(size, "width")) ? height : NULL;
}

/* A plain number stands for a square or a short edge. */
static int take_size(const json_t *root, const struct processor *p, struct preprocess_spec *spec,
                     struct error *err)
{
    const json_t *value = json_object_get(root, "size");
    bool squares;
    int code = take_bool(root, "default_to_square", p->default_to_square, &squares, err);
    if (code != ERR_OK)
        return code;
    if (!json_is_said(value))
        return picture_missing("size", "add it ({\"shortest_edge\": 224} for most ResNets)", err);
    bool is_number = json_is_integer(value);
    const json_t *edge = is_number ? value : square_edge(value);
    squares = is_number ? squares : edge != NULL;
    if (!edge)
        edge = alone(value, "shortest_edge", NULL);
    spec->crop_mode = squares ? CROP_SQUASH : CROP_CENTER;
    if (picture_integer(edge, MODEL_EDGE_MIN, MODEL_RESIZE_MAX, &spec->resize))
        return ERR_OK;
    return refuse("size", value,
                  "{\"shortest_edge\": N} and {\"height\": N, \"width\": N} are, with N from 8 to "
                  "4096",
                  err);
}

/* ConvNext's: the size is that of the input. */
static int take_crop_pct(const json_t *root, struct preprocess_spec *spec, struct error *err)
{
    const json_t *crop_pct = json_object_get(root, "crop_pct");
    spec->size = spec->resize;
    if (spec->crop_mode != CROP_CENTER || spec->size > MODEL_EDGE_MAX)
        return refuse("size", json_object_get(root, "size"),
                      "{\"shortest_edge\": N} is, with N from 8 to 1024", err);
    if (spec->size >= CONVNEXT_SQUASHED) {
        spec->crop_mode = CROP_SQUASH;
        return ERR_OK;
    }
    double usual = 224.0 / 256;
    return picture_resize(json_is_said(crop_pct) ? json_number_value(crop_pct) : usual, spec, err);
}

static int take_crop_size(const json_t *root, struct preprocess_spec *spec, struct error *err)
{
    const json_t *value = json_object_get(root, "crop_size");
    if (!json_is_said(value))
        return picture_missing("crop_size", "add it ({\"height\": 224, \"width\": 224} for most)",
                               err);
    const json_t *edge = json_is_integer(value) ? value : square_edge(value);
    int most = spec->resize < MODEL_EDGE_MAX ? spec->resize : MODEL_EDGE_MAX;
    if (picture_integer(edge, MODEL_EDGE_MIN, most, &spec->size))
        return ERR_OK;
    return refuse("crop_size", value,
                  "{\"height\": N, \"width\": N} is, with N from 8 to the edge in size, at most "
                  "1024",
                  err);
}

static int take_crop(const json_t *root, const struct processor *p, struct preprocess_spec *spec,
                     struct error *err)
{
    const json_t *value = json_object_get(root, "do_center_crop");
    bool crops;
    int code = take_bool(root, "do_center_crop", p->do_center_crop, &crops, err);
    if (code != ERR_OK)
        return code;
    if (crops && !p->do_center_crop) /* depends on the version of transformers */
        return refuse("do_center_crop", value, "of this processor, false is", err);
    if (p->has_crop_pct)
        return take_crop_pct(root, spec, err);
    if (crops)
        return take_crop_size(root, spec, err);
    spec->size = spec->resize;
    if (spec->crop_mode == CROP_SQUASH && spec->size <= MODEL_EDGE_MAX)
        return ERR_OK;
    return refuse("size", json_object_get(root, "size"),
                  "without a crop, {\"height\": N, \"width\": N} is, with N from 8 to 1024", err);
}

/* The default depends on the version of transformers. */
static int take_resample(const json_t *root, struct preprocess_spec *spec, struct error *err)
{
    const json_t *value = json_object_get(root, "resample");
    int number;
    if (!json_is_said(value))
        return picture_missing("resample", "add 2 (bilinear) or 3 (bicubic)", err);
    if (!picture_integer(value, PILLOW_BILINEAR, PILLOW_BICUBIC, &number))
        return refuse("resample", value, "2 (bilinear) and 3 (bicubic) are", err);
    spec->interpolation =
        number == PILLOW_BILINEAR ? INTERPOLATION_BILINEAR : INTERPOLATION_BICUBIC;
    return ERR_OK;
}

static int take_numbers(const json_t *root, struct preprocess_spec *spec, struct error *err)
{
    const json_t *factor = json_object_get(root, "rescale_factor");
    bool normalizes;
    int code = require(root, "do_rescale", err);
    if (code == ERR_OK && json_is_said(factor) && json_number_value(factor) != 1.0 / 255)
        code = refuse("rescale_factor", factor, "0.00392156862745098 is (1/255)", err);
    if (code == ERR_OK)
        code = take_bool(root, "do_normalize", true, &normalizes, err);
    if (code != ERR_OK)
        return code;
    for (int c = 0; !normalizes && c < 3; c++)
        spec->std[c] = 1;
    code = normalizes ? picture_mean(root, "image_mean", spec, err) : ERR_OK;
    return code == ERR_OK && normalizes ? picture_std(root, "image_std", spec, err) : code;
}

static int take_all(struct preprocess_spec *spec, const json_t *root, struct error *err)
{
    const struct processor *p = NULL;
    int code = take_processor(root, &p, err);
    if (code == ERR_OK)
        code = check_keys(root, err);
    if (code == ERR_OK)
        code = require(root, "do_resize", err);
    if (code == ERR_OK)
        code = take_size(root, p, spec, err);
    if (code == ERR_OK)
        code = take_crop(root, p, spec, err);
    if (code == ERR_OK)
        code = take_resample(root, spec, err);
    return code == ERR_OK ? take_numbers(root, spec, err) : code;
}

int image_processor_parse(struct preprocess_spec *out, const char *bytes, size_t length,
                          struct error *err)
{
    json_t *root;
    *out = (struct preprocess_spec){.crop_offset = CROP_OFFSET_FLOOR};
    int code = strict_json_object(bytes, length, &root, err);
    if (code != ERR_OK)
        return code;
    code = take_all(out, root, err);
    json_decref(root);
    return code;
}

int image_processor_read(struct preprocess_spec *out, bool *found, const char *folder,
                         struct error *err)
{
    char path[FILE_PATH_MAX], *bytes;
    size_t length;
    int code = file_path(path, folder, "preprocessor_config.json", err);
    *found = code == ERR_OK && (access(path, F_OK) == 0 || errno != ENOENT);
    if (!*found)
        return code;
    code = file_read_all(path, IMAGE_PROCESSOR_FILE_MAX, &bytes, &length, err);
    if (code != ERR_OK)
        return code;
    code = image_processor_parse(out, bytes, length, err);
    free(bytes);
    return error_prefix(err, code, "%s", path);
}
