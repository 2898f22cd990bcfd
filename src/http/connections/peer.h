/* A client's connection as the monitor sees it (monitor.h). monitor_adopted returns a peer. Only
 * the HTTP thread of the connection calls these functions, which are listed in the order of their
 * use. */
#ifndef RESNEXT_HTTP_CONNECTIONS_PEER_H
#define RESNEXT_HTTP_CONNECTIONS_PEER_H

#include <stdbool.h>

#include "serve/request.h"

struct peer;

/* "192.0.2.1", "2001:db8::1" or "unix". */
const char *peer_address(const struct peer *peer);

/* A request has begun. Its upload must be complete within upload_timeout_ms. */
void peer_receiving(struct peer *peer);

/* The request is refused, but its answer may wait for the rest of the upload. If that upload times
 * out, this is not counted as another refusal. A drain waits only LINGER_NS for it. */
void peer_refused(struct peer *peer);

/* The connection is suspended until `completion` is finished. `completion` belongs to `request`,
 * which is about to be submitted, or, if `request` is NULL, to a reload. Sets the deadline of
 * `completion`. When the deadline passes or the client leaves, the monitor cancels it.
 * ERR_CLIENT_GONE if the client has left already, ERR_DRAINING if the service ends. */
int peer_waiting(struct peer *peer, struct completion *completion, struct request *request,
                 int64_t timeout_ns);

/* The answer is being sent; the client must read it within upload_timeout_ms. `unread`: the client
 * may still be sending a body that the server will not read. The socket then stays open for a
 * moment after the answer, since closing it at once could lose the answer. */
void peer_replying(struct peer *peer, bool unread);

/* The exchange is over; the next one must begin within idle_timeout_s. `ending`: no exchange
 * follows, and the connection no longer counts towards max_connections. `status` is that of the
 * answer. */
void peer_idle(struct peer *peer, bool ending, int status);

/* The status of the last answer to this client, if that was less than `ns` ago; otherwise 0. */
int peer_last_status(struct peer *peer, int64_t ns);

/* Pauses a request whose headers have arrived: no more of it is read for `ns`, even if the client
 * leaves, or until the service ends. Then the monitor calls `resume` with its lock held. False if
 * the service is ending or the monitor has cut the connection; `resume` is not called then. */
bool peer_pause(struct peer *peer, int64_t ns, void (*resume)(void *), void *arg);

/* True if the monitor has closed this connection because of a timeout. */
bool peer_timed_out(struct peer *peer);

/* The connection has ended, but its socket is not closed yet. Frees the peer. */
void peer_closed(struct peer *peer);

#endif
