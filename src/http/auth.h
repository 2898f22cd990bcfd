/* Who may use the service. */
#ifndef RESNEXT_HTTP_AUTH_H
#define RESNEXT_HTTP_AUTH_H

#include "http/exchange.h"

/* Looks for a key in every `Authorization: Bearer KEY` and `X-API-Key: KEY`, and remembers the
 * entry of one that is known in x->key. ERR_UNAUTHORIZED if keys are needed and none is. */
int auth_check(struct exchange *x, struct error *err);

#endif
