/* Who may use the service. */
#ifndef RESNEXT_HTTP_AUTH_H
#define RESNEXT_HTTP_AUTH_H

#include "http/exchange.h"

/* Looks for a key in `Authorization: Bearer KEY` or `X-API-Key: KEY`, and remembers its entry in
 * x->key. ERR_UNAUTHORIZED if keys are needed and this is none. */
int auth_check(struct exchange *x, struct error *err);

#endif
