/* API keys: who may use the service. */
#ifndef RESNEXT_HTTP_AUTH_H
#define RESNEXT_HTTP_AUTH_H

#include "http/exchange.h"

/* Looks for a key in every `Authorization: Bearer KEY` and `X-API-Key: KEY` header, and stores the
 * entry of a known one in x->key. ERR_UNAUTHORIZED if keys are needed and no known one was sent. */
int auth_check(struct exchange *x, struct error *err);

#endif
