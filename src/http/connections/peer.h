/* A client's connection as the monitor sees it (monitor.h). These functions are for the HTTP thread
 * that the connection belongs to, in the order of a connection's life; a peer comes from
 * monitor_adopted. */
#ifndef RESNEXT_HTTP_CONNECTIONS_PEER_H
#define RESNEXT_HTTP_CONNECTIONS_PEER_H

#include <stdbool.h>

#include "serve/request.h"

struct peer;

/* "192.0.2.1", "2001:db8::1" or "unix". */
const char *peer_address(const struct peer *peer);

/* A request has begun. Its upload must be complete within upload_timeout_ms. */
void peer_receiving(struct peer *peer);

/* The request is refused, though its answer may wait for the rest of the upload. A timeout of that
 * upload is not counted again, and a drain allows it only LINGER_NS. */
void peer_refused(struct peer *peer);

/* The connection is suspended until `completion` is finished. That belongs to `request`, which is
 * about to be submitted, or to a reload; then `request` is NULL. Sets its deadline. When the
 * deadline passes or the client leaves, the monitor cancels it. ERR_CLIENT_GONE and ERR_DRAINING:
 * it is too late. */
int peer_waiting(struct peer *peer, struct completion *completion, struct request *request,
                 int64_t timeout_ns);

/* The answer is being sent; the client must read it within upload_timeout_ms. `unread`: the client
 * may still be sending a body that nobody will read. The socket then stays open for a moment, since
 * closing it at once could lose the answer. */
void peer_replying(struct peer *peer, bool unread);

/* The exchange is over; the next may begin within idle_timeout_s. `ending`: there will be none, and
 * the connection no longer counts. `status`: of the answer. */
void peer_idle(struct peer *peer, bool ending, int status);

/* The status of the answer that this client got less than `ns` ago; 0: there was none. */
int peer_last_status(struct peer *peer, int64_t ns);

/* Pauses a request whose headers have come: no more of it is read for `ns`, even if the client
 * leaves, or until the service ends. Then the monitor calls `resume` with its lock held. False if
 * the service is ending or the connection was cut; `resume` is not called then. */
bool peer_pause(struct peer *peer, int64_t ns, void (*resume)(void *), void *arg);

/* True if the monitor has closed this connection because its time was up. */
bool peer_timed_out(struct peer *peer);

/* The connection has ended, but its socket is not closed yet. Frees the peer. */
void peer_closed(struct peer *peer);

#endif
