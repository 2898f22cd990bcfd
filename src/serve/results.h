/* What a worker makes of a forward pass, by the kind of request. */
#ifndef RESNEXT_SERVE_RESULTS_H
#define RESNEXT_SERVE_RESULTS_H

#include "model/model.h"
#include "serve/request.h"

/* What lies ready in the worker after network_forward for one image. */
struct forward {
    const struct model *model;
    const struct workspace *workspace;
    const float *logits;                      /* [classes] */
    const struct preprocess_options *options; /* with which the part's JPEG was decoded */
    struct prediction *scratch;               /* [classes] */
};

/* Fills in a part's results, in the worker that runs the request; time spent on drawing goes to
 * request->encode_ns. ERR_NOT_FINITE, ERR_PARAMETER (there is no such class), ERR_OVERLOADED,
 * ERR_NO_MEMORY, and what decoding the JPEG once more gives: ERR_DEADLINE. */
int results_fill(const struct forward *forward, struct request *request, struct request_part *part,
                 struct error *err);

#endif
