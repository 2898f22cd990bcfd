/* What the endpoints do. `answer` functions are called once the whole request is there, and queue
 * an answer or, if there is a `resume` function, may suspend the connection; then that is called
 * when the result has come. */
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
enum MHD_Result asset_answer(struct exchange *x);
enum MHD_Result models_answer(struct exchange *x);
enum MHD_Result oip_server_answer(struct exchange *x);
enum MHD_Result oip_live_answer(struct exchange *x);
enum MHD_Result oip_ready_answer(struct exchange *x);
enum MHD_Result oip_model_answer(struct exchange *x);
enum MHD_Result oip_model_ready_answer(struct exchange *x);
enum MHD_Result oip_infer_answer(struct exchange *x);
enum MHD_Result preflight_answer(struct exchange *x);
enum MHD_Result reload_answer(struct exchange *x);
enum MHD_Result reload_resume(struct exchange *x);

#endif
