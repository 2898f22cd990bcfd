#include "model/config_writer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static json_t *triple(const double numbers[3])
{
    return json_pack("[f,f,f]", numbers[0], numbers[1], numbers[2]);
}

static json_t *describe_picture(const struct config_text *text)
{
    const char *filter = text->interpolation == INTERPOLATION_BICUBIC ? "bicubic" : "bilinear";
    const char *mode = text->crop_mode == CROP_SQUASH ? "squash" : "center";
    json_t *crop = text->resize ? json_integer(text->resize) : json_real(text->crop_pct);
    return json_pack("{s:[i,i,i], s:s, s:o, s:s, s:o, s:o, s:i}", "input_size", 3, text->size,
                     text->size, "interpolation", filter, text->resize ? "resize_size" : "crop_pct",
                     crop, "crop_mode", mode, "mean", triple(text->mean), "std", triple(text->std),
                     "num_classes", text->classes);
}

static json_t *name_list(const struct label_list *labels)
{
    json_t *list = json_array();
    for (size_t i = 0; i < labels->count; i++)
        if (json_array_append_new(list, json_string(labels->names[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static bool is_plain(const struct template *t)
{
    return t->stem != STEM_DEEP && t->stem_pool == STEM_POOL_MAX && t->down == DOWN_CONV &&
           t->antialias == ANTIALIAS_NONE && t->attention == ATTENTION_NONE && !t->stride_first;
}

/* The arguments of timm's ResNet that make this variant; no argument makes a legacy SENet's pool.
 */
static json_t *arguments(const struct template *t)
{
    static const char *const filters[] = {
        [ANTIALIAS_NONE] = "", [ANTIALIAS_AVG] = "avg", [ANTIALIAS_BLUR] = "blur"};
    static const char *const attentions[] = {[ATTENTION_NONE] = "",
                                             [ATTENTION_SE] = "se",
                                             [ATTENTION_ESE] = "ese",
                                             [ATTENTION_ECA] = "eca"};
    bool deep = t->stem == STEM_DEEP, tiered = deep && t->stem_widths[0] != t->stem_widths[1];
    json_t *all = json_pack("{s:s, s:b, s:s, s:{s:s}}", "stem_type",
                            tiered ? "deep_tiered"
                            : deep ? "deep"
                                   : "",
                            "avg_down", t->down == DOWN_AVG, "aa_layer", filters[t->antialias],
                            "block_args", "attn_layer", attentions[t->attention]);
    if (t->stem_pool != STEM_POOL_CEIL)
        json_object_set_new(all, "replace_stem_pool", json_boolean(t->stem_pool == STEM_POOL_CONV));
    return all;
}

static json_t *describe(const struct config_text *text)
{
    json_t *root = json_pack("{s:s, s:i, s:o}", "architecture", text->architecture, "num_classes",
                             text->classes, "pretrained_cfg", describe_picture(text));
    if (root && text->variant && !is_plain(text->variant)) {
        json_object_set_new(root, "model_args", arguments(text->variant));
        json_object_set_new(root, "downsample_in_bottleneck",
                            json_boolean(text->variant->stride_first));
    }
    if (root && text->labels && text->labels->count > 0 &&
        json_object_set_new(root, "label_names", name_list(text->labels)) != 0) {
        json_decref(root);
        return NULL;
    }
    return root;
}

int model_config_write(const char *path, const struct config_text *text, struct error *err)
{
    json_t *root = describe(text);
    FILE *file = root ? fopen(path, "wxe") : NULL;
    int code = ERR_OK;
    if (!root)
        code = error_set(err, ERR_NO_MEMORY, "no memory for %s", path);
    else if (!file)
        code = error_set(err, ERR_IO, "cannot create %s: %s", path, strerror(errno));
    else if (json_dumpf(root, file, JSON_INDENT(1) | JSON_REAL_PRECISION(15)) != 0 ||
             fputc('\n', file) == EOF || fflush(file) != 0 || fsync(fileno(file)) != 0)
        code = error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    if (file)
        fclose(file);
    if (file && code != ERR_OK)
        unlink(path);
    json_decref(root);
    return code;
}
