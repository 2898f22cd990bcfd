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
    json_t *crop = text->resize ? json_integer(text->resize) : json_real(text->crop_pct);
    return json_pack("{s:[i,i,i], s:s, s:o, s:s, s:o, s:o, s:i}", "input_size", 3, text->size,
                     text->size, "interpolation", filter, text->resize ? "resize_size" : "crop_pct",
                     crop, "crop_mode", "center", "mean", triple(text->mean), "std",
                     triple(text->std), "num_classes", text->classes);
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

static json_t *describe(const struct config_text *text)
{
    json_t *root = json_pack("{s:s, s:i, s:o}", "architecture", text->architecture, "num_classes",
                             text->classes, "pretrained_cfg", describe_picture(text));
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
             fputc('\n', file) == EOF || fflush(file) != 0)
        code = error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    if (file)
        fclose(file);
    if (file && code != ERR_OK)
        unlink(path);
    json_decref(root);
    return code;
}
