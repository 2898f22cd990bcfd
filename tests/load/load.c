/* A client that offers load: POSTs the same body again and again over kept-alive connections.
 *
 *   load [-r RATE] [-c CONNECTIONS] [-s SECONDS] [-p TARGET] ADDRESS FILE
 *
 * With a RATE requests arrive at random (exponential gaps, seeded), whether or not the server keeps
 * up, and a latency counts from the arrival: waiting for a free connection is part of it. Without,
 * each connection asks again as soon as it is answered. Prints one JSON object: times in ms, `good`
 * for 200, `goodput` those of them a second that came before the end, `refused` for 503; `failed`
 * are connections that ended or could not be opened; `unanswered` had no answer GRACE_S after the
 * last arrival. One thread. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/load/common.h"

enum { HEAD_MAX = 8192, GRACE_S = 15, TARGET_MAX = 1024, CONNECTIONS_MAX = 65536 };

static const int64_t LONGEST_WAIT_NS = 100000000;

struct connection {
    int fd;             /* -1: not open */
    bool busy;          /* with a request */
    int64_t arrived_ns; /* of it */
    size_t sent, have;
    size_t body_left; /* of the answer, once its head is complete */
    int status;       /* 0: the head is not complete */
    bool closes;
    char head[HEAD_MAX];
};

struct load {
    double rate, seconds;
    int connections, poll;
    const char *target;
    struct address address;
    char *request;
    size_t request_size;
    struct connection *all;
    int *idle; /* indices of connections that are not busy */
    int idle_count;
    int64_t *waiting; /* arrivals without a connection, a ring */
    size_t waiting_first, waiting_count, waiting_space;
    int64_t end_ns; /* of the arrivals */
    size_t arrivals, in_time, other, failed;
    struct times good, refused;
};

/* --- one request --- */

static void close_connection(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
}

static void open_connection(struct load *l, struct connection *c)
{
    c->fd = connect_in(l->poll, &l->address, (uint32_t)(c - l->all));
}

/* The connection has nothing more to do with its request. */
static void let_go(struct load *l, struct connection *c)
{
    c->busy = false;
    l->idle[l->idle_count++] = (int)(c - l->all);
}

static void fail(struct load *l, struct connection *c)
{
    close_connection(c);
    if (!c->busy)
        return;
    l->failed++;
    let_go(l, c);
}

static void finish(struct load *l, struct connection *c)
{
    int64_t now = clock_monotonic_ns();
    double ms = clock_ns_to_ms(now - c->arrived_ns);
    if (c->status == 200) {
        times_add(&l->good, ms);
        l->in_time += now < l->end_ns;
    } else if (c->status == 503)
        times_add(&l->refused, ms);
    else
        l->other++;
    if (c->closes)
        close_connection(c);
    let_go(l, c);
}

static void send_more(struct load *l, struct connection *c)
{
    while (c->sent < l->request_size) {
        ssize_t n = send(c->fd, l->request + c->sent, l->request_size - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return; /* it waits for space, or what broke it shows when we read */
        c->sent += (size_t)n;
    }
}

static void begin(struct load *l, struct connection *c, int64_t arrived_ns)
{
    c->busy = true;
    c->arrived_ns = arrived_ns;
    c->sent = c->have = c->body_left = 0;
    c->status = 0;
    c->closes = false;
    if (c->fd < 0)
        open_connection(l, c);
    else
        send_more(l, c);
}

/* Looks at what has come; false if it is no answer. */
static bool parse_head(struct connection *c)
{
    c->head[c->have] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end)
        return c->have < HEAD_MAX - 1;
    size_t body = c->have - (size_t)(end + 4 - c->head);
    end[2] = '\0';
    struct head head;
    if (!head_parse(&head, c->head) || !head.has_length || body > head.length)
        return false;
    c->status = head.status;
    c->closes = head.closes;
    c->body_left = head.length - body;
    return true;
}

/* Takes `n` bytes that were read behind what the head has. */
static bool take(struct connection *c, size_t n)
{
    if (c->status != 0) {
        if (n > c->body_left)
            return false;
        c->body_left -= n;
        return true;
    }
    c->have += n;
    return parse_head(c);
}

static void receive(struct load *l, struct connection *c)
{
    char body[HEAD_MAX];
    for (;;) {
        char *to = c->status ? body : c->head + c->have;
        size_t space = c->status ? sizeof body : HEAD_MAX - 1 - c->have;
        ssize_t n = recv(c->fd, to, space, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || !c->busy || !take(c, (size_t)n)) {
            fail(l, c);
            return;
        }
        if (c->status && c->body_left == 0) {
            finish(l, c);
            return;
        }
    }
}

/* --- arrivals --- */

static void put_waiting(struct load *l, int64_t arrived_ns)
{
    if (l->waiting_count == l->waiting_space)
        die("too many requests wait for a connection");
    l->waiting[(l->waiting_first + l->waiting_count++) % l->waiting_space] = arrived_ns;
}

static void start_waiting(struct load *l)
{
    while (l->waiting_count > 0 && l->idle_count > 0) {
        int64_t arrived_ns = l->waiting[l->waiting_first];
        l->waiting_first = (l->waiting_first + 1) % l->waiting_space;
        l->waiting_count--;
        begin(l, &l->all[l->idle[--l->idle_count]], arrived_ns);
    }
}

/* All that has arrived until now; returns when the next does. */
static int64_t arrive(struct load *l, int64_t next_ns)
{
    int64_t now = clock_monotonic_ns();
    for (; l->rate > 0 && next_ns <= now && next_ns < l->end_ns;
         next_ns += random_gap_ns(l->rate)) {
        l->arrivals++;
        put_waiting(l, next_ns);
    }
    while (l->rate == 0 && l->idle_count > 0 && now < l->end_ns) {
        l->arrivals++;
        begin(l, &l->all[l->idle[--l->idle_count]], now);
    }
    return next_ns;
}

static void serve_events(struct load *l, int64_t wait_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int n = wait_for_events(l->poll, events, wait_ns);
    for (int i = 0; i < n; i++) {
        struct connection *c = &l->all[events[i].data.u32];
        if (c->fd >= 0 && c->busy && events[i].events & EPOLLOUT)
            send_more(l, c);
        if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
            receive(l, c);
    }
}

static void run(struct load *l)
{
    int64_t begin_ns = clock_monotonic_ns(), next_ns = begin_ns;
    l->end_ns = begin_ns + (int64_t)(l->seconds * 1e9);
    for (int64_t now = begin_ns; now < l->end_ns + GRACE_S * NS_PER_S; now = clock_monotonic_ns()) {
        next_ns = arrive(l, next_ns);
        start_waiting(l);
        if (now >= l->end_ns && l->idle_count == l->connections)
            return;
        int64_t until = l->rate > 0 && next_ns < l->end_ns ? next_ns - now : LONGEST_WAIT_NS;
        serve_events(l, until < LONGEST_WAIT_NS ? until : LONGEST_WAIT_NS);
    }
}

/* --- beginning and end --- */

static char *read_file(const char *path, size_t *size)
{
    struct stat st;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &st) != 0)
        die(path);
    char *data = must(malloc((size_t)st.st_size + 1));
    *size = fread(data, 1, (size_t)st.st_size, file);
    fclose(file);
    return data;
}

static void make_request(struct load *l, const char *path)
{
    size_t size;
    char *body = read_file(path, &size);
    l->request = must(malloc(size + TARGET_MAX + 256));
    int head = snprintf(l->request, TARGET_MAX + 256,
                        "POST %s HTTP/1.1\r\nHost: load\r\nContent-Type: image/jpeg\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        l->target, size);
    memcpy(l->request + head, body, size);
    l->request_size = (size_t)head + size;
    free(body);
}

static void prepare(struct load *l, char **operands)
{
    l->address = address_parse(operands[0]);
    make_request(l, operands[1]);
    size_t count = (size_t)l->connections;
    l->waiting_space = 1 << 20;
    l->waiting = must(calloc(l->waiting_space, sizeof *l->waiting));
    l->all = must(calloc(count, sizeof *l->all));
    l->idle = must(calloc(count, sizeof *l->idle));
    for (int i = l->connections - 1; i >= 0; i--) {
        l->all[i].fd = -1;
        l->idle[l->idle_count++] = i;
    }
    l->poll = epoll_create1(EPOLL_CLOEXEC);
    if (l->poll < 0)
        die("epoll");
    srand48(1);
}

static void print_times(const char *name, struct times *t)
{
    times_sort(t);
    printf("\"%s\":%zu,\"%s_p50_ms\":%.3f,\"%s_p99_ms\":%.3f,\"%s_max_ms\":%.3f,", name, t->count,
           name, times_quantile(t, 0.5), name, times_quantile(t, 0.99), name, times_quantile(t, 1));
}

static void print_result(struct load *l)
{
    size_t answered = l->good.count + l->refused.count + l->other + l->failed;
    printf("{\"arrivals\":%zu,\"seconds\":%g,\"goodput\":%.3f,", l->arrivals, l->seconds,
           (double)l->in_time / l->seconds);
    print_times("good", &l->good);
    print_times("refused", &l->refused);
    printf("\"other\":%zu,\"failed\":%zu,\"unanswered\":%zu}\n", l->other, l->failed,
           l->arrivals - answered);
}

static void clean_up(struct load *l)
{
    for (int i = 0; i < l->connections; i++)
        if (l->all[i].fd >= 0)
            close_connection(&l->all[i]);
    close(l->poll);
    free(l->request);
    free(l->all);
    free(l->idle);
    free(l->waiting);
    free(l->good.ms);
    free(l->refused.ms);
}

static bool parse_options(struct load *l, int argc, char **argv)
{
    int letter;
    while ((letter = getopt(argc, argv, "r:c:s:p:")) != -1) {
        if (letter == 'r')
            l->rate = number(optarg, 0, 1e6);
        else if (letter == 'c')
            l->connections = (int)number(optarg, 1, CONNECTIONS_MAX);
        else if (letter == 's')
            l->seconds = number(optarg, 0.01, 1e5);
        else if (letter == 'p')
            l->target = optarg;
        else
            return false;
    }
    return argc - optind == 2 && strlen(l->target) < TARGET_MAX;
}

int main(int argc, char **argv)
{
    struct load l = {.connections = 64, .seconds = 5, .target = "/classify"};
    if (!parse_options(&l, argc, argv)) {
        fprintf(stderr, "Usage: load [-r RATE] [-c CONNECTIONS] [-s SECONDS] [-p TARGET] "
                        "ADDRESS FILE\n");
        return 2;
    }
    prepare(&l, argv + optind);
    run(&l);
    print_result(&l);
    clean_up(&l);
    return 0;
}
