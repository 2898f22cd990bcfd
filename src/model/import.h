/* The state dict of a checkpoint, for a new model.safetensors: a file of torch.save, or one in
 * safetensors format without a folder. One thread at a time. */
#ifndef RESNEXT_MODEL_IMPORT_H
#define RESNEXT_MODEL_IMPORT_H

#include "base/error.h"
#include "model/pickle.h"
#include "model/safetensors.h"

enum { IMPORT_MAX_PARTS = 16, IMPORT_PART_NAME = 64 };

struct import;

/* Opens a file and chooses its state dict: the one named `key`, or, with NULL, averaged weights
 * (state_dict_ema, model_ema, ...) as timm does, else state_dict, model, ..., else the only one,
 * else the root. ERR_IO, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED, ERR_NO_MEMORY, ERR_PARAMETER (no
 * state dict has that name, or several could be meant; the message lists them). */
int import_open(struct import **out, const char *path, const char *key, struct error *err);
void import_close(struct import *import);

/* The tensors with torchvision's names, all to be written as F32, without those that only training
 * needs. */
const struct tensor_table *import_tensors(const struct import *import);

/* The name of the state dict that was chosen, and of others (NULL at the end); "" is the root. */
const char *import_taken(const struct import *import);
const char *import_other(const struct import *import, size_t i);

/* What a checkpoint says under `key`, at its root (`arch`) or among the options of the program that
 * trained it (`args`, an argparse.Namespace); NULL if it does not have the key. */
const struct pickle_value *import_fact(const struct import *import, const char *key);
const struct pickle_value *import_option(const struct import *import, const char *key);

/* Writes the tensors to a new file in safetensors format, one at a time. Calls `step` after each.
 * The errors of torch_file_read, safetensors_read and safetensors_writer_create; on failure no file
 * is left behind. */
int import_write(struct import *import, const char *path, void (*step)(void *), void *context,
                 struct error *err);

#endif
