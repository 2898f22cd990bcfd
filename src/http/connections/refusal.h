/* Answers that are sent without libmicrohttpd. */
#ifndef RESNEXT_HTTP_CONNECTIONS_REFUSAL_H
#define RESNEXT_HTTP_CONNECTIONS_REFUSAL_H

#include <gnutls/gnutls.h>
#include <stddef.h>

#include "base/error.h"

enum { REFUSAL_BODY_MAX = 1024 };

/* Writes the JSON of an error whose message needs no escaping; returns its length. */
size_t refusal_body(char body[REFUSAL_BODY_MAX], const char *id, const struct error *err);

/* Sends the last answer on a socket and shuts down its sending side. The socket must be
 * non-blocking, with nothing left to send. `tls`: its session, or NULL. */
void refusal_send(int fd, gnutls_session_t tls, const char *id, const struct error *err);

/* Logs a connection that is refused because too many are open. */
void refusal_log(const char *id, const char *client, const char *option);

#endif
