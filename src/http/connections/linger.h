/* Lingering. Closing a socket while its client is still sending destroys the answer on its way to
 * the client. So a connection that was answered in mid-upload is kept open for a while, and what it
 * still receives is discarded.
 *
 * This must stay cheap whoever connects. A connection lingers until its client closes it or is
 * silent for LINGER_NS, and never longer than the time and the number of bytes given to linger_add.
 * At most LINGER_MAX connections linger at a time. One more replaces the oldest connection of the
 * client that has the most: that one has had the longest time to read its answer.
 *
 * Guarded by its owner's lock. All times are of clock_monotonic_ns. */
#ifndef RESNEXT_HTTP_CONNECTIONS_LINGER_H
#define RESNEXT_HTTP_CONNECTIONS_LINGER_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define LINGER_NS INT64_C(2000000000)

enum { LINGER_MAX = 64 };

struct lingerer {
    int fd;
    uint64_t tag; /* of its events */
    struct in6_addr source;
    int64_t silent_ns; /* when it has been silent for too long */
    int64_t end_ns;    /* when it ends in any case */
    uint64_t left;     /* bytes that it may still send */
};

struct lingerers {
    int epoll_fd; /* the owner's */
    size_t count;
    struct lingerer list[LINGER_MAX]; /* the oldest first */
};

/* Takes over an answered socket, whose events in the epoll set have `tag`. `source` is the
 * client's, see client.h. Returns the time at which it ends if no more bytes come. */
int64_t linger_add(struct lingerers *l, int fd, uint64_t tag, const struct in6_addr *source,
                   int64_t now_ns, int64_t end_ns, uint64_t bytes);

/* Handles an event on the socket with this tag, if it still lingers. */
void linger_handle_event(struct lingerers *l, uint64_t tag, int64_t now_ns);

/* Closes the connections that are due. Returns the time at which the next is due, DEADLINE_NEVER if
 * none lingers. */
int64_t linger_expire(struct lingerers *l, int64_t now_ns);

/* Ends all of them by `end_ns`. */
void linger_end_by(struct lingerers *l, int64_t end_ns);

/* Closes all. */
void linger_close(struct lingerers *l);

#endif
