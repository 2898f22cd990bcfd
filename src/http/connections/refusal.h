/* Answers that libmicrohttpd has no part in. */
#ifndef RESNEXT_HTTP_CONNECTIONS_REFUSAL_H
#define RESNEXT_HTTP_CONNECTIONS_REFUSAL_H

#include <gnutls/gnutls.h>
#include <stddef.h>

#include "base/error.h"

enum { REFUSAL_BODY_MAX = 1024 };

/* Writes the JSON of an error whose message needs no escaping; returns its length. */
size_t refusal_body(char body[REFUSAL_BODY_MAX], const char *id, const struct error *err);

/* The last answer on a socket: nothing can be sent there afterwards. The socket must be
 * non-blocking, with nothing to be sent already. `tls`: its session, or NULL. */
void refusal_send(int fd, gnutls_session_t tls, const char *id, const struct error *err);

/* The line in the log for a connection that is turned away since too many are open. */
void refusal_log(const char *id, const char *client, const char *option);

#endif
