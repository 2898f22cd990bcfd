#include "model/architecture.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/strict_json.h"

enum { NAME_SIZE = 64 };

/* Behind the name of a network that is served; NULL if there is none. Not a regular expression:
 * glibc's regcomp leaks when memory is short. */
static const char *network_end(const char *name)
{
    static const char *const forms[] = {"resnet", "wide_resnet", "resnext"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t length = strlen(forms[i]);
        int more = 0;
        if (strncmp(name, forms[i], length) != 0)
            continue;
        name += length + strspn(name + length, "0123456789");
        if (i == 1)
            sscanf(name, "_%*[0-9]%n", &more);
        else if (i == 2)
            sscanf(name, "_%*[0-9]x%*[0-9]d%n", &more);
        return name + more;
    }
    return NULL;
}

/* The names that are served, without a tag ("resnet50.a1_in1k"), which only says how the weights
 * were trained; before there were tags, a prefix named the author. GluonCV's v1b is the plain
 * network. timm's other names, even with the same tensors, compute something else: resnet50d has an
 * average pool in its shortcut, resnetaa50 and resnetblur50 filter before they stride, ...
 */
static int take_plain_name(const char *name, char plain[NAME_SIZE], struct error *err)
{
    static const char *const authors[] = {"tv_", "ssl_", "swsl_", "ig_", "gluon_"};
    const char *begin = name, *end;
    size_t length = strcspn(name, ".");
    bool gluon = false;
    for (size_t i = 0; begin == name && i < sizeof authors / sizeof authors[0]; i++)
        if (strncmp(name, authors[i], strlen(authors[i])) == 0) {
            begin += strlen(authors[i]);
            gluon = authors[i][0] == 'g';
        }
    end = network_end(begin);
    const char *rest = end && gluon && strncmp(end, "_v1b", 4) == 0 ? end + 4 : end;
    if (length >= NAME_SIZE || rest != name + length)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "architecture %.60s is not served; resnet50, wide_resnet50_2, "
                         "resnext50_32x4d and others of these three forms are",
                         name);
    snprintf(plain, NAME_SIZE, "%.*s", (int)(end - begin), begin);
    return ERR_OK;
}

static int check_name(const json_t *value, char plain[NAME_SIZE], struct error *err)
{
    if (!json_is_said(value))
        return ERR_OK;
    if (!json_is_string(value))
        return error_set(err, ERR_MODEL_INVALID, "architecture is not a string");
    return take_plain_name(json_string_value(value), plain, err);
}

/* The root's, and the one that timm has in its own dictionary. */
static int check_names(const json_t *root, const json_t *picture, struct error *err)
{
    const json_t *outer = json_object_get(root, "architecture");
    const json_t *inner = json_object_get(picture, "architecture");
    char a[NAME_SIZE] = "", b[NAME_SIZE] = "";
    int code = check_name(outer, a, err);
    if (code == ERR_OK && (code = check_name(inner, b, err)) != ERR_OK && root != picture)
        return error_prefix(err, code, "pretrained_cfg");
    if (code != ERR_OK || !*a || !*b || strcmp(a, b) == 0)
        return code;
    return error_set(err, ERR_MODEL_INVALID,
                     "architecture is %.60s, but %.60s in pretrained_cfg; leave the wrong one out",
                     json_string_value(outer), json_string_value(inner));
}

enum { VALUES = 4 };

/* A key and its values, as JSON, that change nothing. */
struct setting {
    const char *key, *values[VALUES];
};

/* Arguments of timm's ResNet that may have any value: they matter to training alone, or show in the
 * tensors' shapes. */
static const char *const free_arguments[] = {
    "num_classes",        "in_chans",       "layers",          "channels",       "cardinality",
    "base_width",         "stem_width",     "drop_rate",       "drop_path_rate", "pretrained",
    "block_reduce_first", "zero_init_last", "drop_block_rate",
};

/* The other arguments, which may also stand outside of model_args. null is a default. */
static const struct setting arguments[] = {
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

/* Other settings that change the computation, its input or its output: keys of Hugging Face's
 * ResNet and its image processors, of timm's ports and of torchvision's transforms. */
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
    FREE_ARGUMENTS = sizeof free_arguments / sizeof free_arguments[0],
    ARGUMENTS = sizeof arguments / sizeof arguments[0],
    OTHERS = sizeof others / sizeof others[0],
};

static int check_value(const struct setting *setting, const json_t *value, struct error *err)
{
    bool plain = !json_is_said(value);
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
    for (size_t i = 0; i < FREE_ARGUMENTS; i++)
        if (strcmp(key, free_arguments[i]) == 0)
            return ERR_OK;
    for (size_t i = 0; i < ARGUMENTS; i++)
        if (strcmp(key, arguments[i].key) == 0)
            return check_value(&arguments[i], value, err);
    return error_set(err, ERR_MODEL_UNSUPPORTED, "%.60s: a network changed by it is not served",
                     key);
}

/* Checks the arguments that the network was made with. */
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
    return error_prefix(err, check_settings(picture, err), "pretrained_cfg");
}
