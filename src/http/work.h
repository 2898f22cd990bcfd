/* What the endpoints that need a worker have in common: from the body to a request that waits, and
 * from its outcome to an answer. */
#ifndef RESNEXT_HTTP_WORK_H
#define RESNEXT_HTTP_WORK_H

#include "http/exchange.h"

/* Chooses the exchange's model by name, NULL for the default one. ERR_MODEL_UNKNOWN. */
int work_choose_model(struct exchange *x, const char *name, struct error *err);

/* Makes the request from a body that is a JPEG or multipart/form-data with file parts; the caller
 * may then set what its kind needs. ERR_BODY_EMPTY, ERR_MULTIPART, ERR_MEDIA_TYPE,
 * ERR_TOO_MANY_PARTS, ERR_NO_MEMORY. */
int work_make(struct exchange *x, enum request_kind kind, int top_k, struct error *err);

/* The same with exactly one picture: ERR_MULTIPART if there are more. */
int work_make_one(struct exchange *x, enum request_kind kind, struct error *err);

/* Makes a request whose parts `codec` reads from the body, whatever that is. ERR_BODY_EMPTY,
 * ERR_NO_MEMORY. */
int work_make_coded(struct exchange *x, const struct request_codec *codec, struct error *err);

/* Suspends the connection and hands the request to the workers. */
enum MHD_Result work_submit(struct exchange *x);

/* In the resume function of an endpoint: `reply` answers with the results, which are there; without
 * results the answer says why. */
enum MHD_Result work_resume(struct exchange *x, enum MHD_Result (*reply)(struct exchange *x));

#endif
