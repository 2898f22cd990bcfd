/* Model folders with random weights, to try a template without training it. */
#ifndef RESNEXT_MODEL_INIT_H
#define RESNEXT_MODEL_INIT_H

#include <stdint.h>

#include "base/error.h"
#include "model/template.h"

/* Makes the folder OUT (it may exist, but not its files) with model.safetensors and config.json.
 * Weights are He-normal, each filter centred on zero; batch norm's running_var is the variance that
 * follows from that, and its scale is small where a block ends, the smaller the more blocks a stage
 * has, so that activations keep a size of about 1 through any depth. The same seed
 * gives the same bytes. ERR_IO, ERR_MODEL_UNSUPPORTED (a size that could not be loaded),
 * ERR_NO_MEMORY; on failure no file is left behind. */
int model_init_folder(const struct template *t, uint64_t seed, const char *out, struct error *err);

#endif
