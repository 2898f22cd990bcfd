#include "model/architecture.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

static int check_name(const json_t *root, struct error *err)
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

/* Arguments of timm's ResNet, and their values, as JSON, that leave it a plain one; NULL: any, for
 * they matter to training alone, or show in the tensors' shapes. */
static const struct {
    const char *key, *values[4];
} arguments[] = {
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
    {"global_pool", {"\"avg\"", "null"}},
    {"block", {"\"bottleneck\"", "\"Bottleneck\"", "\"basic\"", "\"BasicBlock\""}},
    {"output_stride", {"32"}},
    {"stem_type", {"\"\"", "null"}},
    {"replace_stem_pool", {"false", "null"}},
    {"avg_down", {"false", "null"}},
    {"down_kernel_size", {"1"}},
    {"act_layer", {"\"relu\"", "\"ReLU\"", "null"}},
    {"norm_layer", {"\"batchnorm\"", "\"batchnorm2d\"", "\"BatchNorm2d\"", "null"}},
    {"aa_layer", {"\"\"", "null"}},
    {"attn_layer", {"\"\"", "null"}},
    {"block_args", {"{}", "null", "{\"attn_layer\":null}"}},
    {"features_only", {"false", "null"}},
};

enum { ARGUMENTS = sizeof arguments / sizeof arguments[0], VALUES = 4 };

static int check_value(const char *const values[VALUES], const char *key, const json_t *value,
                       struct error *err)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text)
        return error_set(err, ERR_NO_MEMORY, "no memory for model_args");
    bool plain = !values[0];
    for (int i = 0; i < VALUES && values[i]; i++)
        plain = plain || strcmp(text, values[i]) == 0;
    int rc = plain ? ERR_OK
                   : error_set(err, ERR_MODEL_UNSUPPORTED, "%s %.60s is not served; %s is", key,
                               text, values[0]);
    free(text);
    return rc;
}

static int check_argument(const char *key, const json_t *value, struct error *err)
{
    for (size_t i = 0; i < ARGUMENTS; i++)
        if (strcmp(key, arguments[i].key) == 0)
            return check_value(arguments[i].values, key, value, err);
    return error_set(err, ERR_MODEL_UNSUPPORTED, "%.60s: a network changed by it is not served",
                     key);
}

/* What changed the network when it was made. */
static int check_arguments(const json_t *root, struct error *err)
{
    const char *key;
    json_t *value, *given = json_object_get(root, "model_args");
    if (given && !json_is_null(given) && !json_is_object(given))
        return error_set(err, ERR_MODEL_INVALID, "model_args is not an object");
    json_object_foreach(given, key, value)
    {
        int rc = check_argument(key, value, err);
        if (rc != ERR_OK)
            return error_prefix(err, rc, "model_args");
    }
    return ERR_OK;
}

int architecture_check(const json_t *root, struct error *err)
{
    const json_t *pool = json_object_get(root, "global_pool");
    int rc = check_name(root, err);
    if (rc == ERR_OK)
        rc = check_arguments(root, err);
    return rc == ERR_OK && pool ? check_argument("global_pool", pool, err) : rc;
}
