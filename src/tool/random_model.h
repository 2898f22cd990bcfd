/* A model with random weights, for benchmarks. */
#ifndef RESNEXT_TOOL_RANDOM_MODEL_H
#define RESNEXT_TOOL_RANDOM_MODEL_H

#include "base/error.h"
#include "model/model.h"

/* Loads a template with random weights, the same in every call. int8 is calibrated on random
 * pixels. The model passes through a folder in TMPDIR, which is removed; SIGHUP, SIGINT and SIGTERM
 * are blocked meanwhile. `*out` belongs to the caller. The errors of model_init_folder and
 * model_load; ERR_IO if the folder cannot be made. */
int random_model_load(struct model **out, const struct template *t,
                      const struct model_options *options, struct error *err);

#endif
