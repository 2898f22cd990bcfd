/* A model with random weights, for benchmarks. */
#ifndef RESNEXT_TOOL_RANDOM_MODEL_H
#define RESNEXT_TOOL_RANDOM_MODEL_H

#include "base/error.h"
#include "model/model.h"

/* Loads the template `name` with random weights, the same in every call. int8 is calibrated on
 * random pixels. The model passes through a folder in TMPDIR, which is removed; SIGHUP, SIGINT and
 * SIGTERM are blocked meanwhile. `*out` belongs to the caller. The errors of template_from_name,
 * model_init_folder and model_load; ERR_IO if the folder cannot be made. */
int random_model_load(struct model **out, const char *name, const struct model_options *options,
                      struct error *err);

#endif
