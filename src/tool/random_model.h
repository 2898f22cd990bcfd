/* A model that nobody has trained, for measuring. */
#ifndef RESNEXT_TOOL_RANDOM_MODEL_H
#define RESNEXT_TOOL_RANDOM_MODEL_H

#include "base/error.h"
#include "model/model.h"

/* Loads the template `name` with random weights, always the same, by way of a folder in TMPDIR that
 * is gone afterwards; int8 is calibrated on random pixels; signals that would end the program wait
 * that long. `*out` belongs to the caller. The errors of template_from_name, model_init_folder and
 * model_load. */
int random_model_load(struct model **out, const char *name, const struct model_options *options,
                      struct error *err);

#endif
