/* What config.json of an imported network says: from options, from the checkpoint, from a preset,
 * and what was assumed. */
#ifndef RESNEXT_TOOL_IMPORT_SETTINGS_H
#define RESNEXT_TOOL_IMPORT_SETTINGS_H

#include "base/error.h"
#include "model/config_writer.h"
#include "model/import.h"
#include "model/template.h"

/* The pictures of whose program a network was trained for. */
#define LIKE_NAMES(NAME)                                                                           \
    NAME(LIKE_UNSAID, "guess")                                                                     \
    NAME(LIKE_TIMM, "timm")                                                                        \
    NAME(LIKE_TORCHVISION_V1, "torchvision-v1")                                                    \
    NAME(LIKE_TORCHVISION_V2, "torchvision-v2")
enum like { LIKE_NAMES(NAME_VALUE) };
extern const char *const like_names[];

/* The options; 0, NULL and the first value of a choice stand for none. */
struct import_options {
    const char *key, *architecture, *crop_pct, *mean, *std, *labels;
    int64_t size, resize;
    unsigned like, interpolation; /* enum like; 0, or enum interpolation plus 1 */
};

/* Checks the options' values, which are numbers in text. ERR_PARAMETER. */
int import_options_check(const struct import_options *options, struct error *err);

/* Fills all but labels, and prints a line on standard output for each setting that the checkpoint
 * said or that was assumed. `template` is that of the tensors; `out->architecture` refers to memory
 * of this module. ERR_PARAMETER: an option is needed. */
int import_settings(const struct import_options *options, const struct import *import,
                    const struct template *template, struct config_text *out, struct error *err);

#endif
