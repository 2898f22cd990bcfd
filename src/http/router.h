/* Finds the functions that answer a path and a method. */
#ifndef RESNEXT_HTTP_ROUTER_H
#define RESNEXT_HTTP_ROUTER_H

#include "http/exchange.h"

/* MHD_AccessHandlerCallback: drives an exchange through its phases. */
enum MHD_Result router_handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **exchange);

/* The route with an index of the metrics' dimension ENDPOINT; NULL after the last. */
const struct route *router_route(size_t index);

#endif
