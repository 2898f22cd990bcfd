/* From a path and a method to the functions that answer. */
#ifndef RESNEXT_HTTP_ROUTER_H
#define RESNEXT_HTTP_ROUTER_H

#include "http/exchange.h"

enum { ROUTER_ALLOW_MAX = 64 };

/* MHD_AccessHandlerCallback: drives an exchange through its phases. */
enum MHD_Result router_handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **exchange);

/* The names of the endpoints for the metrics; router_endpoint gives a route's index, one past the
 * last for NULL. */
const char *const *router_endpoints(size_t *count);
size_t router_endpoint(const struct route *route);

/* The method of an endpoint; GET includes HEAD. */
const char *router_method(size_t endpoint);

/* Whether it is health or metrics, which machines ask for all the time. NULL is not. */
bool router_is_probe(const struct route *route);

/* The value of Allow for an exchange's path. */
void router_allow(const struct exchange *x, char allow[ROUTER_ALLOW_MAX]);

#endif
