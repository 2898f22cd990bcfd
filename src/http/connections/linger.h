/* Lingering. Closing a socket whose client is still sending destroys the answer on its way to it.
 * So who was answered in mid-upload is kept for a while, and what still comes is thrown away.
 *
 * That must not cost much, whoever comes. A connection lingers until its client closes or is silent
 * for LINGER_NS, at the latest until the time and the number of bytes that linger_add is told.
 * LINGER_MAX linger at a time. To who is one too many, one of the client that has most gives way:
 * its oldest, having had the longest time to read its answer.
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
    int64_t silent_ns, end_ns; /* when it has been silent for too long; its end in any case */
    uint64_t left;             /* bytes that it may still send */
};

struct lingerers {
    int epoll_fd; /* the owner's */
    size_t count;
    struct lingerer list[LINGER_MAX]; /* the oldest first */
};

/* Takes over an answered socket, whose events in the epoll set have `tag`; `source` is
 * the client's, see client.h. Returns when it ends if nothing comes. */
int64_t linger_add(struct lingerers *l, int fd, uint64_t tag, const struct in6_addr *source,
                   int64_t now_ns, int64_t end_ns, uint64_t bytes);

/* Something happened on the socket of a tag, if it still lingers. */
void linger_handle_event(struct lingerers *l, uint64_t tag, int64_t now_ns);

/* Closes who is due, and returns when the next is, DEADLINE_NEVER if nobody lingers. */
int64_t linger_expire(struct lingerers *l, int64_t now_ns);

/* Ends all of them by `end_ns`. */
void linger_end_by(struct lingerers *l, int64_t end_ns);

/* Closes all. */
void linger_close(struct lingerers *l);

#endif
