#include "model/architecture.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/strict_json.h"

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

/* Before there were tags, timm's names began with who trained the weights. */
static bool skip_origin(const char **s)
{
    return skip_word(s, "tv_") || skip_word(s, "ssl_") || skip_word(s, "swsl_") ||
           skip_word(s, "ig_");
}

/* Every other name of timm's, also with these tensors, computes something else: resnet50d has an
 * average pool in its shortcut, resnetaa50 and resnetblur50 filter before they stride, ... A tag
 * ("resnet50.a1_in1k") only says how the weights were trained, and GluonCV's v1b is the plain
 * network. */
static bool is_served(const char *s)
{
    bool (*suffix)(const char **) = NULL;
    bool gluon = skip_word(&s, "gluon_");
    if (!gluon)
        skip_origin(&s);
    if (skip_word(&s, "wide_resnet"))
        suffix = skip_width;
    else if (skip_word(&s, "resnext"))
        suffix = skip_paths;
    else if (!skip_word(&s, "resnet"))
        return false;
    skip_number(&s);
    if (suffix && *s == '_' && !suffix(&s))
        return false;
    if (gluon)
        skip_word(&s, "_v1b");
    return *s == '\0' || *s == '.';
}

static int check_name(const json_t *value, struct error *err)
{
    if (!json_is_said(value))
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

/* Who trained it is no difference. The length is without a tag. */
static size_t plain_name(const char **s)
{
    bool gluon = skip_word(s, "gluon_");
    if (!gluon)
        skip_origin(s);
    const char *end = *s + strcspn(*s, "."), *suffix = strstr(*s, "_v1b");
    return (size_t)((gluon && suffix && suffix < end ? suffix : end) - *s);
}

/* The root's, and the one that timm has in its own dictionary; a tag is no difference. */
static int check_names(const json_t *root, const json_t *picture, struct error *err)
{
    const json_t *outer = json_object_get(root, "architecture");
    const json_t *inner = json_object_get(picture, "architecture");
    int code = check_name(outer, err);
    if (code == ERR_OK && (code = check_name(inner, err)) != ERR_OK && root != picture)
        return error_prefix(err, code, "pretrained_cfg");
    if (code != ERR_OK || !json_is_string(outer) || !json_is_string(inner))
        return code;
    const char *a = json_string_value(outer), *b = json_string_value(inner);
    size_t length = plain_name(&a);
    if (length == plain_name(&b) && strncmp(a, b, length) == 0)
        return ERR_OK;
    return error_set(err, ERR_MODEL_INVALID,
                     "architecture is %.60s, but %.60s in pretrained_cfg; leave the wrong one out",
                     json_string_value(outer), json_string_value(inner));
}

enum { VALUES = 4 };

/* A key and its values, as JSON, that change nothing; none: any. */
struct setting {
    const char *key, *values[VALUES];
};

/* Arguments of timm's ResNet. Those with any value matter to training alone, or show in the
 * tensors' shapes; the others may stand outside of model_args too. null is a default. */
static const struct setting arguments[] = {
    {"num_classes", {NULL}},
    {"in_chans", {NULL}},
    {"layers", {NULL}},
    {"channels", {NULL}},
    {"cardinality", {NULL}},
    {"base_width", {NULL}},
    {"stem_width", {NULL}},
    {"block_reduce_first", {NULL}},
    {"drop_rate", {NULL}},
    {"drop_path_rate", {NULL}},
    {"drop_block_rate", {NULL}},
    {"zero_init_last", {NULL}},
    {"pretrained", {NULL}},
    {"global_pool", {"\"avg\""}},
    {"block", {"\"bottleneck\"", "\"Bottleneck\"", "\"basic\"", "\"BasicBlock\""}},
    {"output_stride", {"32"}},
    {"stem_type", {"\"\""}},
    {"replace_stem_pool", {"false"}},
    {"avg_down", {"false"}},
    {"down_kernel_size", {"1"}},
    {"act_layer", {"\"relu\"", "\"ReLU\""}},
    {"norm_layer", {"\"batchnorm\"", "\"batchnorm2d\"", "\"BatchNorm2d\""}},
    {"aa_layer", {"\"\""}},
    {"attn_layer", {"\"\""}},
    {"block_args", {"{}", "{\"attn_layer\":null}"}},
    {"features_only", {"false"}},
};

/* What else changes what a network computes, sees or answers: keys of Hugging Face's ResNet and its
 * image processors, of timm's ports and of torchvision's transforms. */
static const struct setting others[] = {
    {"hidden_act", {"\"relu\""}},
    {"downsample_in_bottleneck", {"false"}},
    {"downsample_in_first_stage", {"false"}},
    {"label_offset", {"0"}},
    {"input_space", {"\"RGB\""}},
    {"input_range", {"[0,1]", "[0.0,1.0]", "[0,1.0]", "[0.0,1]"}},
    {"antialias", {"true", "\"warn\""}},
    {"do_resize", {"true"}},
    {"do_center_crop", {"true"}},
    {"do_rescale", {"true"}},
    {"do_normalize", {"true"}},
    {"rescale_factor", {"0.0039215686274509803"}},
    {"rescale_offset", {"false"}},
    {"do_flip_channel_order", {"false"}},
    {"replace_stride_with_dilation", {"[false,false,false]"}},
    {"bn_eps", {"1.0000000000000001e-5"}},
};

enum {
    ARGUMENTS = sizeof arguments / sizeof arguments[0],
    OTHERS = sizeof others / sizeof others[0],
};

static int check_value(const struct setting *setting, const json_t *value, struct error *err)
{
    bool plain = !json_is_said(value) || !setting->values[0];
    char *text = plain ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!plain && !text)
        return error_set(err, ERR_NO_MEMORY, "no memory for config.json");
    for (int i = 0; !plain && i < VALUES && setting->values[i]; i++)
        plain = strcmp(text, setting->values[i]) == 0;
    int code = plain ? ERR_OK
                     : error_set(err, ERR_MODEL_UNSUPPORTED, "%s %.60s is not served; %s is",
                                 setting->key, text, setting->values[0]);
    free(text);
    return code;
}

static int check_argument(const char *key, const json_t *value, struct error *err)
{
    for (size_t i = 0; i < ARGUMENTS; i++)
        if (strcmp(key, arguments[i].key) == 0)
            return check_value(&arguments[i], value, err);
    return error_set(err, ERR_MODEL_UNSUPPORTED, "%.60s: a network changed by it is not served",
                     key);
}

/* What changed the network when it was made. */
static int check_arguments(const json_t *root, struct error *err)
{
    const char *key;
    json_t *value, *given = json_object_get(root, "model_args");
    if (json_is_said(given) && !json_is_object(given))
        return error_set(err, ERR_MODEL_INVALID, "model_args is not an object");
    json_object_foreach(given, key, value)
    {
        int code = check_argument(key, value, err);
        if (code != ERR_OK)
            return error_prefix(err, code, "model_args");
    }
    return ERR_OK;
}

static int check_settings(const json_t *object, struct error *err)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < ARGUMENTS; i++)
        code = check_value(&arguments[i], json_object_get(object, arguments[i].key), err);
    for (size_t i = 0; code == ERR_OK && i < OTHERS; i++)
        code = check_value(&others[i], json_object_get(object, others[i].key), err);
    return code;
}

int architecture_check(const json_t *root, const json_t *picture, struct error *err)
{
    int code = check_names(root, picture, err);
    if (code == ERR_OK)
        code = check_arguments(root, err);
    if (code == ERR_OK)
        code = check_settings(root, err);
    if (code != ERR_OK || root == picture)
        return code;
    code = check_settings(picture, err);
    return code == ERR_OK ? ERR_OK : error_prefix(err, code, "pretrained_cfg");
}
