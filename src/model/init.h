/* Makes model folders with random weights, to try a template without training it. */
#ifndef RESNEXT_MODEL_INIT_H
#define RESNEXT_MODEL_INIT_H

#include <stdint.h>

#include "base/error.h"
#include "model/template.h"

/* Makes the folder OUT with model.safetensors and config.json. The folder may exist, the files may
 * not. Weights are He-normal, and each filter is centred on zero. Batch norm's running_var is the
 * variance that follows from that. Its scale is small at the end of a block, and smaller in stages
 * with more blocks, so that activations stay at about 1 at any depth. The same seed gives the same
 * bytes. ERR_IO, ERR_MODEL_UNSUPPORTED (a size that could not be loaded), ERR_NO_MEMORY; on failure
 * no file is left behind. */
int model_init_folder(const struct template *t, uint64_t seed, const char *out, struct error *err);

#endif
