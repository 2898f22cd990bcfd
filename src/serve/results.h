/* The results of a forward pass, by the kind of request. */
#ifndef RESNEXT_SERVE_RESULTS_H
#define RESNEXT_SERVE_RESULTS_H

#include "model/session.h"
#include "serve/request.h"

/* Fills in a part's results after the session's forward pass, in the worker that runs the request.
 * `options` are those that the part's JPEG was decoded with. Time spent on drawing is added to
 * request->encode_ns. ERR_NOT_FINITE, ERR_PARAMETER (no such class), ERR_OVERLOADED, ERR_NO_MEMORY,
 * and ERR_DEADLINE when the JPEG is decoded again. */
int results_fill(struct session *session, const struct preprocess_options *options,
                 struct request *request, struct request_part *part, struct error *err);

#endif
