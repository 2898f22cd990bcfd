/* preprocessor_config.json: how Hugging Face's image processors prepare pictures. */
#ifndef RESNEXT_MODEL_IMAGE_PROCESSOR_H
#define RESNEXT_MODEL_IMAGE_PROCESSOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "image/preprocess.h"

enum { IMAGE_PROCESSOR_FILE_MAX = 64 << 10 };

/* Reads the bytes of a preprocessor_config.json. The reference is transformers' processors on
 * Pillow (image_processing_pil_*.py). Of each name below followed by ImageProcessor or
 * FeatureExtractor, perhaps with Fast or Pil behind it:
 *
 *   ConvNext   below 384: short edge to size / crop_pct, centre crop; from 384 on: both edges to
 *              size
 *   ViT        both edges to size
 *   Bit, CLIP  short edge, or both edges, to size; centre crop to crop_size
 *
 * ERR_MODEL_INVALID (the message names the key and what would be right), ERR_MODEL_UNSUPPORTED (the
 * key and the value that are not served), ERR_NO_MEMORY. */
int image_processor_parse(struct preprocess_spec *out, const char *bytes, size_t length,
                          struct error *err);

/* The same for the file in a model folder; `*found` is whether there is one. ERR_IO too. */
int image_processor_read(struct preprocess_spec *out, bool *found, const char *folder,
                         struct error *err);

#endif
