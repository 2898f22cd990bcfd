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

/* A request has begun: its upload must be complete within upload_timeout_ms. */
void peer_receiving(struct peer *peer);

/* The request is refused, though the answer may wait for the rest of its upload: that it does not
 * come in time is counted no more, and a drain gives it a moment only. */
void peer_refused(struct peer *peer);

/* This connection is suspended until `completion` is finished: that of `request`, which is about to
 * be submitted, or of a reload, and `request` is NULL. Sets its deadline; at that time, or if the
 * client goes away, the monitor cancels it. ERR_CLIENT_GONE and ERR_DRAINING: too late. */
int peer_waiting(struct peer *peer, struct completion *completion, struct request *request,
                 int64_t timeout_ns);

/* The answer is on its way, and must be taken within upload_timeout_ms. `unread`: the client may
 * still be sending what nobody will read; keep the socket open for a moment then, since closing it
 * at once could lose the answer. */
void peer_replying(struct peer *peer, bool unread);

/* The exchange is over; the next may begin within idle_timeout_s. `ending`: there will be none, and
 * the connection need not be counted any more. `status`: of the answer. */
void peer_idle(struct peer *peer, bool ending, int status);

/* The status of the answer that this client got less than `ns` ago; 0: it got none. */
int peer_last_status(struct peer *peer, int64_t ns);

/* Of a request whose headers have come: nothing more of it is read for `ns`, even if the client
 * leaves, or until the service ends; then the monitor calls `resume`, with its lock held. False:
 * the service ends already or the connection was cut, and `resume` is not called. */
bool peer_pause(struct peer *peer, int64_t ns, void (*resume)(void *), void *arg);

/* True if the monitor has closed this connection because its time was up. */
bool peer_timed_out(struct peer *peer);

/* The connection is gone, but its socket not closed yet. Frees the peer. */
void peer_closed(struct peer *peer);

#endif
