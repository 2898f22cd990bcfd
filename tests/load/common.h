/* What the load clients share. */
#ifndef RESNEXT_TESTS_LOAD_COMMON_H
#define RESNEXT_TESTS_LOAD_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS_MAX = 256 };

/* Ends the program with what cannot be done, and errno's reason if there is one. */
_Noreturn void die(const char *what);

/* A number of the command line within the bounds; anything else ends the program. */
double number(const char *text, double min, double max);

/* Ends the program if an allocation failed. */
void *must(void *memory);

struct address {
    struct sockaddr_storage of;
    socklen_t length;
};

/* HOST:PORT with an IPv4 address, or the path of a Unix socket; anything else ends the program. */
struct address address_parse(const char *text);

/* A socket that connects, in a set of epoll with edge triggered events; `tag` is their data. */
int connect_in(int poll, const struct address *address, uint32_t tag);

/* Waits for that long at most, less than a second; the number of events that came, or -1. */
int wait_for_events(int poll, struct epoll_event events[EVENTS_MAX], int64_t wait_ns);

/* Until the next of random arrivals, `rate` a second on average; drand48 is the source. */
int64_t random_gap_ns(double rate);

/* What the head of an answer says. */
struct head {
    int status;
    bool has_length, closes;
    size_t length; /* of the body; 0 if it is not told */
};

/* False if it is none. `head` is a string that ends behind the line break of the last header. */
bool head_parse(struct head *out, const char *head);

/* Durations; zeroed at first, `ms` belongs to the owner (free). */
struct times {
    size_t count, space;
    double *ms;
};

void times_add(struct times *t, double ms);
void times_sort(struct times *t);

/* -1 of nothing; the times must be sorted. */
double times_quantile(const struct times *t, double q);

#endif
