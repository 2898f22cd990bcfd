/* Writes a config.json in timm's form, as model/config.h reads it. */
#ifndef RESNEXT_MODEL_CONFIG_WRITER_H
#define RESNEXT_MODEL_CONFIG_WRITER_H

#include "base/error.h"
#include "image/preprocess.h"
#include "model/labels.h"
#include "model/template.h"

struct config_text {
    const char *architecture;
    const struct template *variant; /* what the name may not say; NULL if it says all */
    int classes;                    /* outputs of the network */
    int size;                       /* edge of the input */
    int resize;                     /* short edge before the crop; 0: as crop_pct says */
    double crop_pct;                /* of the short edge */
    enum crop_mode crop_mode;
    enum interpolation interpolation;
    double mean[3], std[3];
    const struct label_list *labels; /* NULL or count 0: none */
};

/* Writes a new file. ERR_IO, also if it exists; ERR_NO_MEMORY. On failure no file is left behind.
 */
int model_config_write(const char *path, const struct config_text *text, struct error *err);

#endif
