/* The `answer` and `resume` functions of the routes, see route.h. */
#ifndef RESNEXT_HTTP_ENDPOINTS_ENDPOINTS_H
#define RESNEXT_HTTP_ENDPOINTS_ENDPOINTS_H

#include "http/exchange.h"

enum MHD_Result classify_answer(struct exchange *x);
enum MHD_Result embed_answer(struct exchange *x);
enum MHD_Result explain_answer(struct exchange *x);
enum MHD_Result livez_answer(struct exchange *x);
enum MHD_Result readyz_answer(struct exchange *x);
enum MHD_Result health_answer(struct exchange *x);
enum MHD_Result metrics_answer(struct exchange *x);
enum MHD_Result models_answer(struct exchange *x);
enum MHD_Result reload_answer(struct exchange *x);
enum MHD_Result reload_resume(struct exchange *x);

#endif
