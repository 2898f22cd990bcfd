/* The Open Inference Protocol v2: what has a path that begins with /v2. */
#ifndef RESNEXT_HTTP_OIP_OIP_H
#define RESNEXT_HTTP_OIP_OIP_H

#include <stdbool.h>

#include "http/exchange.h"

/* Whether answers to this path have the protocol's form: errors are {"error": message}. */
bool oip_owns(const char *path);

/* The `answer` functions of its routes, see route.h. */
enum MHD_Result oip_server_answer(struct exchange *x);
enum MHD_Result oip_live_answer(struct exchange *x);
enum MHD_Result oip_ready_answer(struct exchange *x);
enum MHD_Result oip_model_answer(struct exchange *x);
enum MHD_Result oip_model_ready_answer(struct exchange *x);
enum MHD_Result oip_infer_answer(struct exchange *x);

#endif
