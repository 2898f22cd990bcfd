/* The answer to an inference request: JSON, then the binary tensors. */
#ifndef RESNEXT_HTTP_OIP_INFER_REPLY_H
#define RESNEXT_HTTP_OIP_INFER_REPLY_H

#include "base/error.h"
#include "serve/request.h"

/* Writes request->answer. The worker; never fails. */
int infer_encode(struct request *request, struct error *err);

#endif
