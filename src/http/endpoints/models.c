#include <jansson.h>

#include "http/reply.h"

static json_t *describe(const struct model_info *m, const struct conf *conf)
{
    const char *orientation = exif_orientation_names[conf->exif_orientation];
    return json_pack("{s:s, s:b, s:s, s:s, s:i, s:s, s:s, s:i, s:i, s:s, s:s, s:I, s:I, s:s, "
                     "s:o, s:{s:s, s:s?}, s:s}",
                     "name", m->name, "default", m->is_default, "state", "ready", "template",
                     m->template_name, "classes", m->classes, "activation", m->activation, "labels",
                     m->label_source, "input_size", m->input_size, "resize_size", m->resize_size,
                     "crop_mode", m->squashes ? "squash" : "center", "exif_orientation",
                     orientation, "parameters", (json_int_t)m->parameters, "multiply_adds",
                     (json_int_t)m->multiply_adds, "precision", m->precision, "cascade",
                     cascade_json(&m->cascade), "kernels", "dense", m->kernels.dense, "grouped",
                     *m->kernels.grouped ? m->kernels.grouped : NULL, "sha256", m->sha256);
}

enum MHD_Result models_answer(struct exchange *x)
{
    json_t *models = json_array();
    for (size_t i = 0; i < generation_model_count(x->generation); i++)
        models = reply_append(models, describe(generation_model(x->generation, i), x->conf));
    return reply_json(x, 200, json_pack("{s:o}", "models", models));
}
