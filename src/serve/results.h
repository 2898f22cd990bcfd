/* What a worker makes of a forward pass, by the kind of request. */
#ifndef RESNEXT_SERVE_RESULTS_H
#define RESNEXT_SERVE_RESULTS_H

#include "model/session.h"
#include "serve/request.h"

/* Fills in a part's results after the session's forward pass, in the worker that runs the request;
 * `options` are those that the part's JPEG was decoded with. Time spent on drawing goes to
 * request->encode_ns. ERR_NOT_FINITE, ERR_PARAMETER (there is no such class), ERR_OVERLOADED,
 * ERR_NO_MEMORY, and what decoding the JPEG once more gives: ERR_DEADLINE. */
int results_fill(struct session *session, const struct preprocess_options *options,
                 struct request *request, struct request_part *part, struct error *err);

#endif
