#include "model/architecture.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/network_name.h"
#include "model/strict_json.h"

#define FAMILY                                                                                     \
    "resnet50d, seresnext50_32x4d, wide_resnet50_2, ecaresnet50t, resnetrs50, resnetaa50d and "    \
    "others of these forms are"

static void say(struct architecture *out, enum architecture_fact fact, const char *key, int value)
{
    out->facts[fact] = (struct said){key, value};
}

/* timm's other names, even with the same tensors, compute something else. */
static int take_name(const json_t *value, struct architecture *out, struct error *err)
{
    struct network_name name;
    if (!json_is_said(value))
        return ERR_OK;
    if (!json_is_string(value))
        return error_set(err, ERR_MODEL_INVALID, "architecture is not a string");
    if (!network_name_parse(json_string_value(value), &name))
        return error_set(err, ERR_MODEL_UNSUPPORTED, "architecture %.60s is not served; " FAMILY,
                         json_string_value(value));
    network_name_text(&name, out->name);
    say(out, FACT_DEEP_STEM, "architecture", network_name_is_deep(&name));
    say(out, FACT_STEM_POOL, "architecture", (int)network_name_pool(&name));
    say(out, FACT_DOWN, "architecture", (int)network_name_down(&name));
    say(out, FACT_ATTENTION, "architecture", (int)name.attention);
    say(out, FACT_ANTIALIAS, "architecture", (int)name.antialias);
    return ERR_OK;
}

/* The root's, and the one that timm has in its own dictionary. */
static int take_names(struct architecture *out, const json_t *root, const json_t *picture,
                      struct error *err)
{
    const json_t *outer = json_object_get(root, "architecture");
    const json_t *inner = json_object_get(picture, "architecture");
    int code = take_name(outer, out, err);
    char name[TEMPLATE_NAME_MAX];
    strcpy(name, out->name);
    if (code == ERR_OK && (code = take_name(inner, out, err)) != ERR_OK && root != picture)
        return error_prefix(err, code, "pretrained_cfg");
    if (code != ERR_OK || !*name || strcmp(name, out->name) == 0)
        return code;
    return error_set(err, ERR_MODEL_INVALID,
                     "architecture is %.60s, but %.60s in pretrained_cfg; leave the wrong one out",
                     json_string_value(outer), json_string_value(inner));
}

enum { VALUES = 4, WORDS = 7 };

/* A key and its values, as JSON, that change nothing. */
struct setting {
    const char *key, *values[VALUES];
};

/* Arguments of timm's ResNet that may have any value: they matter to training alone, or show in the
 * tensors' shapes. */
static const char *const free_arguments[] = {
    "num_classes",        "in_chans",       "layers",          "channels",         "cardinality",
    "base_width",         "stem_width",     "drop_rate",       "drop_path_rate",   "pretrained",
    "block_reduce_first", "zero_init_last", "drop_block_rate", "down_kernel_size",
};

/* The other arguments, which may also stand outside of model_args. null is a default. */
static const struct setting arguments[] = {
    {"global_pool", {"\"avg\""}},
    {"block", {"\"bottleneck\"", "\"Bottleneck\"", "\"basic\"", "\"BasicBlock\""}},
    {"output_stride", {"32"}},
    {"act_layer", {"\"relu\"", "\"ReLU\""}},
    {"norm_layer", {"\"batchnorm\"", "\"batchnorm2d\"", "\"BatchNorm2d\""}},
    {"features_only", {"false"}},
};

/* Arguments that say which variant it is, and what each value, as JSON, stands for. */
static const struct choice {
    const char *key;
    enum architecture_fact fact;
    struct {
        const char *text;
        int value;
    } words[WORDS];
} choices[] = {
    {"stem_type", FACT_DEEP_STEM, {{"\"\"", 0}, {"\"deep\"", 1}, {"\"deep_tiered\"", 1}}},
    {"replace_stem_pool", FACT_STEM_POOL, {{"false", STEM_POOL_MAX}, {"true", STEM_POOL_CONV}}},
    {"avg_down", FACT_DOWN, {{"false", DOWN_CONV}, {"true", DOWN_AVG}}},
    {"aa_layer",
     FACT_ANTIALIAS,
     {{"\"\"", ANTIALIAS_NONE},
      {"\"avg\"", ANTIALIAS_AVG},
      {"\"avgpool\"", ANTIALIAS_AVG},
      {"\"AvgPool2d\"", ANTIALIAS_AVG},
      {"\"blur\"", ANTIALIAS_BLUR},
      {"\"blurpool\"", ANTIALIAS_BLUR},
      {"\"BlurPool2d\"", ANTIALIAS_BLUR}}},
    {"attn_layer",
     FACT_ATTENTION,
     {{"\"\"", ATTENTION_NONE},
      {"\"se\"", ATTENTION_SE},
      {"\"ese\"", ATTENTION_ESE},
      {"\"eca\"", ATTENTION_ECA}}},
    {"gate_layer", FACT_HARD_SIGMOID, {{"\"sigmoid\"", 0}, {"\"hard_sigmoid\"", 1}}},
    {"downsample_in_bottleneck", FACT_STRIDE_FIRST, {{"false", 0}, {"true", 1}}},
};

/* Keys of "block_args" and of the attention's arguments in it that show in the tensors' shapes. */
static const char *const free_block_arguments[] = {"rd_ratio", "rd_channels", "rd_divisor",
                                                   "kernel_size"};

/* Other settings that change the computation, its input or its output: keys of Hugging Face's
 * ResNet and its image processors, of timm's ports and of torchvision's transforms. */
static const struct setting others[] = {
    {"hidden_act", {"\"relu\""}},
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
    FREE_BLOCK_ARGUMENTS = sizeof free_block_arguments / sizeof free_block_arguments[0],
    ARGUMENTS = sizeof arguments / sizeof arguments[0],
    CHOICES = sizeof choices / sizeof choices[0],
    OTHERS = sizeof others / sizeof others[0],
};

static bool is_among(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* The text of a value that is said; NULL and ERR_NO_MEMORY in `code` if there is no memory. */
static char *text_of(const json_t *value, int *code, struct error *err)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    *code = text ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for config.json");
    return text;
}

static int not_served(const char *key, const char *text, const char *served, struct error *err)
{
    return error_set(err, ERR_MODEL_UNSUPPORTED, "%s %.60s is not served; %s is", key, text,
                     served);
}

static int check_value(const struct setting *setting, const json_t *value, struct error *err)
{
    int code;
    if (!json_is_said(value))
        return ERR_OK;
    char *text = text_of(value, &code, err);
    bool plain = false;
    for (int i = 0; text && i < VALUES && setting->values[i]; i++)
        plain = plain || strcmp(text, setting->values[i]) == 0;
    if (code == ERR_OK && !plain)
        code = not_served(setting->key, text, setting->values[0], err);
    free(text);
    return code;
}

/* What an argument says overrides the name, but not the same argument elsewhere. */
static int say_argument(struct architecture *out, const struct choice *choice, int value,
                        struct error *err)
{
    const struct said *before = &out->facts[choice->fact];
    if (before->key == choice->key && before->value != value)
        return error_set(err, ERR_MODEL_INVALID,
                         "%s has two values in config.json; leave the wrong one out", choice->key);
    say(out, choice->fact, choice->key, value);
    return ERR_OK;
}

static int take_choice(struct architecture *out, const struct choice *choice, const json_t *value,
                       struct error *err)
{
    int code;
    if (!json_is_said(value))
        return ERR_OK;
    char *text = text_of(value, &code, err);
    bool known = false;
    for (int i = 0; text && !known && i < WORDS && choice->words[i].text; i++) {
        known = strcmp(text, choice->words[i].text) == 0;
        if (known)
            code = say_argument(out, choice, choice->words[i].value, err);
    }
    if (code == ERR_OK && !known)
        code = not_served(choice->key, text, choice->words[1].text, err);
    free(text);
    return code;
}

/* The choice of this key, or NULL. */
static const struct choice *choice_of(const char *key)
{
    for (size_t i = 0; i < CHOICES; i++)
        if (strcmp(key, choices[i].key) == 0)
            return &choices[i];
    return NULL;
}

static int changed_by(const char *key, struct error *err)
{
    return error_set(err, ERR_MODEL_UNSUPPORTED, "%.60s: a network changed by it is not served",
                     key);
}

/* "block_args", which holds the attention and its gate. */
static int take_block_arguments(struct architecture *out, json_t *given, struct error *err)
{
    const char *key;
    json_t *value;
    int code = ERR_OK;
    if (json_is_said(given) && !json_is_object(given))
        return error_set(err, ERR_MODEL_INVALID, "block_args is not an object");
    json_object_foreach(given, key, value)
    {
        const struct choice *choice = choice_of(key);
        bool attends =
            choice && (choice->fact == FACT_ATTENTION || choice->fact == FACT_HARD_SIGMOID);
        if (attends)
            code = take_choice(out, choice, value, err);
        else if (!is_among(key, free_block_arguments, FREE_BLOCK_ARGUMENTS))
            code = changed_by(key, err);
        if (code != ERR_OK)
            return error_prefix(err, code, "block_args");
    }
    return ERR_OK;
}

static int take_argument(struct architecture *out, const char *key, json_t *value,
                         struct error *err)
{
    const struct choice *choice = choice_of(key);
    if (is_among(key, free_arguments, FREE_ARGUMENTS))
        return ERR_OK;
    if (choice && choice->fact == FACT_ANTIALIAS && json_is_null(value)) /* as in timm */
        return say_argument(out, choice, ANTIALIAS_NONE, err);
    if (choice)
        return take_choice(out, choice, value, err);
    if (strcmp(key, "block_args") == 0)
        return take_block_arguments(out, value, err);
    for (size_t i = 0; i < ARGUMENTS; i++)
        if (strcmp(key, arguments[i].key) == 0)
            return check_value(&arguments[i], value, err);
    return changed_by(key, err);
}

/* The arguments that the network was made with. */
static int take_arguments(struct architecture *out, const json_t *root, struct error *err)
{
    const char *key;
    json_t *value, *given = json_object_get(root, "model_args");
    if (json_is_said(given) && !json_is_object(given))
        return error_set(err, ERR_MODEL_INVALID, "model_args is not an object");
    json_object_foreach(given, key, value)
    {
        int code = take_argument(out, key, value, err);
        if (code != ERR_OK)
            return error_prefix(err, code, "model_args");
    }
    return ERR_OK;
}

static int take_settings(struct architecture *out, const json_t *object, struct error *err)
{
    int code = take_block_arguments(out, json_object_get(object, "block_args"), err);
    for (size_t i = 0; code == ERR_OK && i < CHOICES; i++)
        code = take_choice(out, &choices[i], json_object_get(object, choices[i].key), err);
    for (size_t i = 0; code == ERR_OK && i < ARGUMENTS; i++)
        code = check_value(&arguments[i], json_object_get(object, arguments[i].key), err);
    for (size_t i = 0; code == ERR_OK && i < OTHERS; i++)
        code = check_value(&others[i], json_object_get(object, others[i].key), err);
    return code;
}

int architecture_read(struct architecture *out, const json_t *root, const json_t *picture,
                      struct error *err)
{
    *out = (struct architecture){0};
    int code = take_names(out, root, picture, err);
    if (code == ERR_OK && root != picture)
        code = error_prefix(err, take_settings(out, picture, err), "pretrained_cfg");
    if (code == ERR_OK)
        code = take_settings(out, root, err);
    return code == ERR_OK ? take_arguments(out, root, err) : code;
}

static bool has_projection(const struct template *t)
{
    bool any = false;
    for (int i = 0; i < t->stage_count; i++)
        any = any || t->stages[i].projection;
    return any;
}

static bool is_named(const struct said *said)
{
    return said->key && strcmp(said->key, "architecture") == 0;
}

/* Compares what the file says with what the tensors show, in words by value. */
static int agree(const struct architecture *said, enum architecture_fact fact, int shown,
                 const char *const *words, struct error *err)
{
    const struct said *s = &said->facts[fact];
    bool named = is_named(s);
    if (!s->key || s->value == shown)
        return ERR_OK;
    return error_set(err, ERR_MODEL_INVALID,
                     "%s%s%s says %s, but the tensors show %s; correct it, or leave it out", s->key,
                     named ? " " : "", named ? said->name : "", words[s->value], words[shown]);
}

/* A max pool does not show whether it is padded. */
static int shown_pool(const struct architecture *said, const struct template *t)
{
    int value = said->facts[FACT_STEM_POOL].value;
    bool hidden = t->stem_pool == STEM_POOL_MAX && value == STEM_POOL_CEIL;
    return hidden ? STEM_POOL_CEIL : (int)t->stem_pool;
}

static int check_shown(const struct architecture *said, const struct template *t, struct error *err)
{
    static const char *const stems[] = {"a stem of one convolution",
                                        "a stem of three convolutions"};
    static const char *const pools[] = {[STEM_POOL_MAX] = "a max pool behind the stem",
                                        [STEM_POOL_CEIL] = "the stem of a legacy SENet",
                                        [STEM_POOL_CONV] = "a convolution instead of that pool"};
    static const char *const downs[] = {"shortcuts without a pool", "shortcuts with a pool"};
    static const char *const attentions[] = {"no attention", "SE attention", "ESE attention",
                                             "ECA attention"};
    int code = agree(said, FACT_DEEP_STEM, t->stem == STEM_DEEP, stems, err);
    if (code == ERR_OK)
        code = agree(said, FACT_STEM_POOL, shown_pool(said, t), pools, err);
    if (code == ERR_OK && has_projection(t))
        code = agree(said, FACT_DOWN, (int)t->down, downs, err);
    return code == ERR_OK ? agree(said, FACT_ATTENTION, (int)t->attention, attentions, err) : code;
}

/* Where a name alone says what tensors do not show, it has to be that of the tensors. */
static int check_name(const struct architecture *said, const struct template *t, struct error *err)
{
    char name[TEMPLATE_NAME_MAX];
    template_name(t, name);
    name[strcspn(name, ".")] = '\0';
    if (strcmp(name, said->name) == 0)
        return ERR_OK;
    return error_set(
        err, ERR_MODEL_INVALID,
        "architecture %s is not that of the tensors, which would be %s; correct the name",
        said->name, name);
}

bool architecture_says_antialias(const struct architecture *said)
{
    return said->facts[FACT_ANTIALIAS].key != NULL;
}

int architecture_apply(const struct architecture *said, struct template *t, struct error *err)
{
    const struct said *facts = said->facts;
    int code = check_shown(said, t, err);
    if (code != ERR_OK)
        return code;
    bool legacy = facts[FACT_STEM_POOL].key && facts[FACT_STEM_POOL].value == STEM_POOL_CEIL;
    bool hidden = (legacy && t->stem_pool != STEM_POOL_CEIL) ||
                  (is_named(&facts[FACT_ANTIALIAS]) && facts[FACT_ANTIALIAS].value);
    if (legacy)
        template_make_legacy(t);
    t->antialias = (enum antialias)facts[FACT_ANTIALIAS].value;
    if (facts[FACT_HARD_SIGMOID].key)
        t->hard_sigmoid = facts[FACT_HARD_SIGMOID].value != 0;
    if (facts[FACT_STRIDE_FIRST].key)
        t->stride_first = facts[FACT_STRIDE_FIRST].value != 0;
    return hidden ? check_name(said, t, err) : ERR_OK;
}
