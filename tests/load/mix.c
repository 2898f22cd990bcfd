/* A client that offers the mix of a script: clients of many kinds that arrive at random, each
 * answer compared with the one that is right.
 *
 *   mix [-r RATE] [-c CONNECTIONS] [-s SECONDS] [-w SECONDS] [-n SHARE] [-e SEED]
 *       ADDRESS SCRIPT
 *
 * With a RATE clients arrive at random (exponential gaps) whether or not the server keeps up, and
 * latencies count from the arrival. Without, CONNECTIONS of those with the manner KEEP are always
 * there. A SHARE (0.1) of those take a connection of their own and close it afterwards. Prints a
 * JSON object for each window of -w seconds (1), with its latencies of right answers to KEEP
 * clients in ms, of which the last takes in all that ends after -s, and then one with all counts.
 * `refused` is 503; `unsent` are arrivals beyond SLOTS clients at a time, `unconnected` connections
 * that could not be opened, `unanswered` clients that waited for ANSWER_S. What is wrong is told on
 * standard error, SHOWN_MAX times. One thread; see script.h for scripts. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/load/common.h"
#include "tests/load/script.h"

enum {
    SLOTS = 1500,
    ANSWER_S = 30,
    STEP_NS = 20000000,
    SHOWN_MAX = 20,
    ANSWER_MAX = 4 << 20,
    SPACE_MIN = 8192,
};

static const int64_t IDLE_MOST_NS = 20000000000;

struct client {
    int fd;            /* -1: not open */
    struct kind *kind; /* NULL: idle */
    bool alone;        /* closes afterwards */
    bool reset;        /* leaves with RST */
    bool connected;
    int64_t arrived_ns, stepped_ns; /* stepped: of the last step of a slow one, or idle since */
    size_t sent;
    int answers; /* had */
    char *in;    /* what has come of the next one */
    size_t have, space;
};

struct mix {
    double rate, seconds, window, share;
    int connections, poll, busy_keep, busy;
    struct address address;
    struct script script;
    struct client all[SLOTS];
    int free[SLOTS], free_count; /* neither open nor busy */
    int idle[SLOTS], idle_count; /* open, the one used last at the end */
    int64_t begin_ns, end_ns, window_ns;
    struct times times;           /* of the window */
    struct counts counts, before; /* in all, and before the window */
    size_t unsent, unconnected, unanswered, shown;
    size_t statuses[ENDPOINTS_MAX][STATUS_COUNT], left[ENDPOINTS_MAX];
};

static void tell(struct mix *m, const struct client *c, const char *what, int status,
                 const char *body, size_t size)
{
    if (m->shown++ < SHOWN_MAX)
        fprintf(stderr, "mix: %s: %s, status %d: %.*s\n", c->kind->name, what, status,
                (int)(size < 800 ? size : 800), body);
}

/* --- the life of a client --- */

static void close_client(struct client *c)
{
    const struct linger hard = {.l_onoff = 1};
    if (c->reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(c->fd);
    c->fd = -1;
}

static void forget_idle(struct mix *m, int index)
{
    int i = 0;
    while (m->idle[i] != index)
        i++;
    m->idle_count--;
    memmove(&m->idle[i], &m->idle[i + 1], (size_t)(m->idle_count - i) * sizeof m->idle[0]);
    m->free[m->free_count++] = index;
}

/* It is through; its connection stays if that is of use. */
static void end_client(struct mix *m, struct client *c, bool keep)
{
    int index = (int)(c - m->all);
    m->busy--;
    m->busy_keep -= c->kind->manner == KEEP;
    c->kind = NULL;
    if (keep) {
        c->stepped_ns = clock_monotonic_ns();
        m->idle[m->idle_count++] = index;
        return;
    }
    if (c->fd >= 0)
        close_client(c);
    m->free[m->free_count++] = index;
}

static void leave(struct mix *m, struct client *c)
{
    c->kind->left++;
    if (c->kind->expected[0].endpoint >= 0)
        m->left[c->kind->expected[0].endpoint]++;
    end_client(m, c, false);
}

static void count_right(struct mix *m, struct client *c)
{
    c->kind->counts.right++;
    m->counts.right++;
    if (c->kind->manner == KEEP)
        times_add(&m->times, clock_ns_to_ms(clock_monotonic_ns() - c->arrived_ns));
}

static void count_wrong(struct mix *m, struct client *c, const char *what, int status,
                        const char *body, size_t size)
{
    tell(m, c, what, status, body, size);
    c->kind->counts.wrong++;
    m->counts.wrong++;
}

/* The connection ended. */
static void fail(struct mix *m, struct client *c)
{
    if (!c->kind) {
        close_client(c);
        forget_idle(m, (int)(c - m->all));
        return;
    }
    c->reset = false;
    if (!c->connected)
        m->unconnected++;
    if (c->kind->manner == CUT || c->kind->manner == LEAVE || c->kind->manner == UNREAD) {
        leave(m, c);
        return;
    }
    if (c->have == 0 && script_is_right(&c->kind->expected[c->answers], 0, "", 0))
        count_right(m, c);
    else
        count_wrong(m, c, "closed", 0, c->in, c->have);
    end_client(m, c, false);
}

/* How much of what it has to say it may have said by now. */
static size_t allowed(const struct client *c)
{
    size_t all = c->kind->request.size, argument = (size_t)c->kind->argument;
    switch (c->kind->manner) {
    case CUT:
    case STALL:
        return all * argument / 100;
    case SLOW:
        return all - c->sent < argument ? all : c->sent + argument;
    default:
        return all;
    }
}

static void send_more(struct mix *m, struct client *c)
{
    size_t max = allowed(c);
    while (c->sent < max) {
        ssize_t n = send(c->fd, c->kind->request.bytes + c->sent, max - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return; /* it waits for space, or what broke it shows when we read */
        c->connected = true;
        c->sent += (size_t)n;
    }
    if (c->sent == max && (c->kind->manner == CUT || c->kind->manner == LEAVE))
        leave(m, c);
}

static void begin(struct mix *m, struct kind *kind, int64_t arrived_ns)
{
    bool alone = kind->manner != KEEP || drand48() < m->share;
    struct client *c;
    kind->counts.jobs++;
    m->counts.jobs++;
    if (!alone && m->idle_count > 0)
        c = &m->all[m->idle[--m->idle_count]];
    else if (m->free_count > 0)
        c = &m->all[m->free[--m->free_count]];
    else {
        m->unsent++;
        return;
    }
    c->kind = kind;
    c->alone = alone;
    c->reset = kind->manner != KEEP && kind->manner != SLOW && drand48() < 0.5;
    c->arrived_ns = arrived_ns;
    c->stepped_ns = clock_monotonic_ns();
    c->sent = c->have = 0;
    c->answers = 0;
    m->busy++;
    m->busy_keep += kind->manner == KEEP;
    if (c->fd >= 0) {
        send_more(m, c);
        return;
    }
    c->connected = false;
    c->fd = connect_in(m->poll, &m->address, (uint32_t)(c - m->all));
}

/* --- answers --- */

/* Size of a head with its empty line; 0 if it is not complete. Its last line break becomes the
 * string's end. */
static size_t end_head(struct client *c)
{
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (!end)
        return 0;
    end[2] = '\0';
    return (size_t)(end + 4 - c->in);
}

/* One answer was had. False: the client is through. */
static bool take_answer(struct mix *m, struct client *c, const struct head *head, const char *body)
{
    const int status = head->status;
    const struct expected *e = &c->kind->expected[c->answers];
    if (e->endpoint >= 0)
        m->statuses[e->endpoint][status]++;
    if (script_is_right(e, status, body, head->length))
        count_right(m, c);
    else if (status == 503) {
        c->kind->counts.refused++;
        m->counts.refused++;
    } else
        count_wrong(m, c, "not the answer", status, body, head->length);
    c->answers++;
    if (!head->closes && c->answers < c->kind->expected_count)
        return true;
    if (c->answers < c->kind->expected_count && status != 503)
        count_wrong(m, c, "closed before the last answer", status, body, head->length);
    end_client(m, c, !head->closes && !c->alone && c->sent == c->kind->request.size);
    return false;
}

/* Takes the answers that are complete. False: the client is through, or what came is none. */
static bool take_answers(struct mix *m, struct client *c)
{
    size_t body;
    while ((body = end_head(c)) > 0) {
        struct head head;
        bool interim = head_parse(&head, c->in) && head.status == 100;
        if (head.status < 100 || head.status >= STATUS_COUNT || (!head.has_length && !interim)) {
            count_wrong(m, c, "no answer", head.status, c->in, c->have);
            end_client(m, c, false);
            return false;
        }
        if (c->have - body < head.length) {
            c->in[body - 2] = '\r'; /* as it was, for the next time */
            return true;
        }
        if (!interim && !take_answer(m, c, &head, c->in + body))
            return false;
        c->have -= body + head.length;
        memmove(c->in, c->in + body + head.length, c->have);
    }
    return true;
}

static void make_space(struct client *c)
{
    if (c->space - c->have >= SPACE_MIN)
        return;
    c->space = c->space ? 2 * c->space : 2 * (size_t)SPACE_MIN;
    if (c->space > ANSWER_MAX)
        die("a very long answer");
    c->in = must(realloc(c->in, c->space));
}

static void receive(struct mix *m, struct client *c)
{
    for (;;) {
        if (c->kind && c->kind->manner == UNREAD && c->sent == c->kind->request.size) {
            leave(m, c);
            return;
        }
        make_space(c);
        ssize_t n = recv(c->fd, c->in + c->have, c->space - c->have, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || !c->kind) {
            fail(m, c);
            return;
        }
        c->have += (size_t)n;
        if (!take_answers(m, c))
            return;
    }
}

/* --- arrivals and time --- */

/* Each kind once, and then at random. */
static struct kind *draw(struct mix *m)
{
    if (m->counts.jobs < (size_t)m->script.kind_count)
        return &m->script.kinds[m->counts.jobs];
    double left = drand48() * m->script.weights;
    int i = 0;
    while (i < m->script.kind_count - 1 && left >= m->script.kinds[i].weight)
        left -= m->script.kinds[i++].weight;
    return &m->script.kinds[i];
}

/* All that has arrived until now; returns when the next does. */
static int64_t arrive(struct mix *m, int64_t now, int64_t next_ns)
{
    for (; m->rate > 0 && next_ns <= now && next_ns < m->end_ns; next_ns += random_gap_ns(m->rate))
        begin(m, draw(m), next_ns);
    while (m->rate == 0 && m->busy_keep < m->connections && now < m->end_ns)
        begin(m, draw(m), now);
    return next_ns;
}

static void print_counts(const struct counts *c)
{
    printf("\"jobs\":%zu,\"right\":%zu,\"wrong\":%zu,\"refused\":%zu", c->jobs, c->right, c->wrong,
           c->refused);
}

static void print_window(struct mix *m, int64_t now)
{
    const struct counts window = {
        .jobs = m->counts.jobs - m->before.jobs,
        .right = m->counts.right - m->before.right,
        .wrong = m->counts.wrong - m->before.wrong,
        .refused = m->counts.refused - m->before.refused,
    };
    times_sort(&m->times);
    printf("{\"at\":%.3f,", clock_ns_to_s(now - m->begin_ns));
    print_counts(&window);
    printf(",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n", times_quantile(&m->times, 0.5),
           times_quantile(&m->times, 0.99), times_quantile(&m->times, 1));
    fflush(stdout);
    m->before = m->counts;
    m->times.count = 0;
}

static void give_up(struct mix *m, struct client *c)
{
    m->unanswered++;
    count_wrong(m, c, "no answer in time", 0, c->in, c->have);
    end_client(m, c, false);
}

/* What only time brings about. */
static void step(struct mix *m, int64_t now)
{
    for (int i = 0; i < SLOTS; i++) {
        struct client *c = &m->all[i];
        if (c->fd < 0)
            continue;
        if (!c->kind) {
            if (now - c->stepped_ns > IDLE_MOST_NS)
                fail(m, c);
        } else if (now - c->arrived_ns > ANSWER_S * NS_PER_S) {
            give_up(m, c);
        } else if (c->kind->manner == SLOW && c->connected) {
            send_more(m, c);
        }
    }
}

static void serve_events(struct mix *m, int64_t wait_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int n = wait_for_events(m->poll, events, wait_ns);
    for (int i = 0; i < n; i++) {
        struct client *c = &m->all[events[i].data.u32];
        if (c->fd >= 0 && c->kind && events[i].events & EPOLLOUT &&
            (c->kind->manner != SLOW || !c->connected))
            send_more(m, c);
        if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
            receive(m, c);
    }
}

static void run(struct mix *m)
{
    int64_t now = clock_monotonic_ns(), next_ns = now, step_ns = now;
    m->begin_ns = now;
    m->window_ns = now + (int64_t)(m->window * 1e9);
    m->end_ns = now + (int64_t)(m->seconds * 1e9);
    for (; now < m->end_ns || m->busy > 0; now = clock_monotonic_ns()) {
        next_ns = arrive(m, now, next_ns);
        if (now >= step_ns) {
            step(m, now);
            step_ns = now + STEP_NS;
        }
        if (now >= m->window_ns && now < m->end_ns) {
            print_window(m, now);
            m->window_ns += (int64_t)(m->window * 1e9);
        }
        int64_t until = m->rate > 0 && next_ns < m->end_ns ? next_ns - now : STEP_NS;
        serve_events(m, until < STEP_NS ? until : STEP_NS);
    }
    print_window(m, now);
}

/* --- beginning and end --- */

static void prepare(struct mix *m, char **operands)
{
    m->address = address_parse(operands[0]);
    script_read(&m->script, operands[1]);
    for (int i = SLOTS - 1; i >= 0; i--) {
        m->all[i].fd = -1;
        m->free[m->free_count++] = i;
    }
    m->poll = epoll_create1(EPOLL_CLOEXEC);
    if (m->poll < 0)
        die("epoll");
}

static void print_kinds(const struct mix *m)
{
    for (int i = 0; i < m->script.kind_count; i++) {
        const struct kind *k = &m->script.kinds[i];
        printf("%s\"%s\":{", i ? "," : "", k->name);
        print_counts(&k->counts);
        printf(",\"left\":%zu}", k->left);
    }
}

static void print_endpoints(const struct mix *m)
{
    for (int i = 0; i < m->script.endpoint_count; i++) {
        printf("%s\"%s\":{\"left\":%zu", i ? "," : "", m->script.endpoints[i], m->left[i]);
        for (int status = 0; status < STATUS_COUNT; status++)
            if (m->statuses[i][status])
                printf(",\"%d\":%zu", status, m->statuses[i][status]);
        printf("}");
    }
}

static void print_result(const struct mix *m)
{
    printf("{");
    print_counts(&m->counts);
    printf(",\"unsent\":%zu,\"unconnected\":%zu,\"unanswered\":%zu,\"kinds\":{", m->unsent,
           m->unconnected, m->unanswered);
    print_kinds(m);
    printf("},\"endpoints\":{");
    print_endpoints(m);
    printf("}}\n");
}

static void clean_up(struct mix *m)
{
    for (int i = 0; i < SLOTS; i++) {
        if (m->all[i].fd >= 0)
            close(m->all[i].fd);
        free(m->all[i].in);
    }
    close(m->poll);
    script_free(&m->script);
    free(m->times.ms);
    free(m);
}

static bool parse_options(struct mix *m, int argc, char **argv)
{
    int letter;
    srand48(1);
    while ((letter = getopt(argc, argv, "r:c:s:w:n:e:")) != -1) {
        if (letter == 'r')
            m->rate = number(optarg, 0, 1e6);
        else if (letter == 'c')
            m->connections = (int)number(optarg, 1, SLOTS / 2);
        else if (letter == 's')
            m->seconds = number(optarg, 0.01, 1e6);
        else if (letter == 'w')
            m->window = number(optarg, 0.1, 1e6);
        else if (letter == 'n')
            m->share = number(optarg, 0, 1);
        else if (letter == 'e')
            srand48((long)number(optarg, 0, INT32_MAX));
        else
            return false;
    }
    return argc - optind == 2;
}

int main(int argc, char **argv)
{
    struct mix *m = must(calloc(1, sizeof *m));
    *m = (struct mix){.connections = 4, .seconds = 5, .window = 1, .share = 0.1};
    if (!parse_options(m, argc, argv)) {
        fprintf(stderr, "Usage: mix [-r RATE] [-c CONNECTIONS] [-s SECONDS] [-w SECONDS] "
                        "[-n SHARE] [-e SEED] ADDRESS SCRIPT\n");
        free(m);
        return 2;
    }
    prepare(m, argv + optind);
    run(m);
    print_result(m);
    clean_up(m);
    return 0;
}
