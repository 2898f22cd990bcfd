/* What the endpoints do. `answer` functions are called once the whole request is there, and queue
 * an answer or (classify_answer) suspend the connection; then the `resume` function is called when
 * the result has come. */
#ifndef RESNEXT_HTTP_HANDLERS_H
#define RESNEXT_HTTP_HANDLERS_H

#include "http/exchange.h"

enum MHD_Result classify_answer(struct exchange *x);
enum MHD_Result classify_resume(struct exchange *x);
enum MHD_Result livez_answer(struct exchange *x);
enum MHD_Result readyz_answer(struct exchange *x);
enum MHD_Result health_answer(struct exchange *x);
enum MHD_Result metrics_answer(struct exchange *x);
enum MHD_Result models_answer(struct exchange *x);

#endif
