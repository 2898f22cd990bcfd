/* The table of all peers, their states and deadlines. Shared by monitor.c, which owns it, and
 * peers.c; no other source includes this. Every function but peers_open and peers_close is called,
 * and every field read, with `lock` held; monitor.c explains why that is enough.
 *
 * Each state has a time limit. A reload may change the limits; deadlines that run already stay.
 *
 * A peer's states:
 *
 *   OPENING    accepted, no request yet                            the lesser of upload_timeout_ms
 *                                                                  and idle_timeout_s
 *   RECEIVING  a request line has come                             upload_timeout_ms; if it is
 *                                                                  refused LINGER_NS in a drain
 *   PAUSED     a request line has come, nothing more is read yet   what peer_pause is told
 *   WAITING    its request is queued or running                    what peer_waiting is told
 *   REPLYING   the answer is being sent                            upload_timeout_ms
 *   IDLE       kept alive                                          idle_timeout_s
 *   CUT        shut down by the monitor; libmicrohttpd will notice   none
 *
 * A connection that was answered in mid-upload and that libmicrohttpd has closed is no peer any
 * more. It lingers for at most upload_timeout_ms, in a drain for LINGER_NS: see linger.h. */
#ifndef RESNEXT_HTTP_CONNECTIONS_PEERS_H
#define RESNEXT_HTTP_CONNECTIONS_PEERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "conf/conf.h"
#include "http/connections/client.h"
#include "http/connections/deadlines.h"
#include "http/connections/linger.h"
#include "http/connections/peer.h"
#include "serve/server.h"

enum peer_state { OPENING, RECEIVING, PAUSED, WAITING, REPLYING, IDLE, CUT };

enum peer_timer {
    TIMER_OPENING,
    TIMER_UPLOAD,
    TIMER_REPLY,
    TIMER_IDLE,
    TIMER_GONE,
    TIMER_COUNT,
};

struct peer {
    struct peers *peers;
    int fd;
    uint32_t serial;
    enum peer_state state;
    bool given;   /* see peers_give_way */
    bool gone;    /* the client closed its side */
    bool ending;  /* the server is about to */
    bool unread;  /* see peer_replying */
    bool refused; /* see peer_refused */
    /* While WAITING: the completion it waits for, and the request; without a request it is a
     * reload's. */
    struct completion *completion;
    struct request *request;
    int64_t answered_ns;    /* when the last exchange ended; 0: this is the first */
    int status;             /* of its answer */
    void (*resume)(void *); /* of a PAUSED one, with: */
    void *resume_arg;
    struct deadline deadline;
    struct client client;
    bool queued; /* in the peers' `idle` */
    TAILQ_ENTRY(peer) place;
};

struct peers {
    struct server *server;
    int epoll_fd, wake_fd;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* nobody is left, or accepting_stopped */
    int64_t limits_ns[TIMER_COUNT];
    struct deadlines deadlines;
    struct peer **by_fd; /* [by_fd_size], NULL from by_fd_used on */
    size_t by_fd_size, by_fd_used;
    uint32_t serial;
    size_t open, given;
    /* PAUSED and gone, from the newest on, then OPENING or IDLE, from the longest on */
    TAILQ_HEAD(, peer) idle;
    struct lingerers linger;
    uint64_t linger_bytes;   /* that each may still send */
    int64_t sleeps_until_ns; /* the monitor; earlier deadlines wake it */
    bool accepting_stopped;  /* peers are hurried */
    bool cancelled;          /* no request may wait */
};

/* ERR_IO, ERR_NO_MEMORY. To be closed also after a failure. */
int peers_open(struct peers *peers, const struct conf *conf, struct server *server,
               struct error *err);
void peers_close(struct peers *peers);

/* Wakes the monitor, so that it follows its orders. Needs no lock. */
void peers_wake(struct peers *peers);

/* Adds a descriptor to the monitor's epoll set; serial 0: it belongs to no peer. */
void peers_add_descriptor(struct peers *peers, int fd, uint32_t serial, uint32_t events);

/* A new peer in state OPENING, without a deadline; NULL without memory, or if `fd` is not below
 * by_fd_size. */
struct peer *peers_add(struct peers *peers, int fd);
void peers_remove(struct peer *peer);

/* True if this connection will be closed in a moment, without another byte from or to its client.
 */
bool peers_is_leaving(const struct peer *peer);

/* Makes space for a new connection. Cuts a PAUSED connection whose client has closed its side, or
 * else the connection that has waited longest for a request to begin. False if all are busy. */
bool peers_give_way(struct peers *peers, const struct peer *newcomer);

/* Starts a deadline, which replaces the running one. */
void peers_arm(struct peer *peer, enum peer_timer timer);

/* The time limits of a configuration, for deadlines that start from now on. */
void peers_set_limits(struct peers *peers, const struct conf *conf);

/* Takes over an answered socket. Closes it when the client does, or after a while. */
void peers_linger(struct peers *peers, int fd, const struct in6_addr *source);

/* Handles events on a peer's descriptor; `tag` is serial << 32 | descriptor. */
void peers_handle_event(struct peers *peers, uint64_t tag, uint32_t events);

/* Handles the deadlines that have passed. Returns the next one, DEADLINE_NEVER if there is none. */
int64_t peers_expire(struct peers *peers);

/* Finishes, with an error, the request or reload that a peer waits for. */
void peers_cancel(struct peer *peer, int outcome);

/* Ends a pause: the rest of the request may come. */
void peers_resume(struct peer *peer);

/* Hurries a connection during a drain: it may have one more request at most. A new connection may
 * send its first request within FIRST_NS. A connection that was answered before is served if its
 * next request has already come, and ends otherwise. The rest of a refused upload may take
 * LINGER_NS. A pause ends. */
void peers_hurry(struct peer *peer);

#endif
