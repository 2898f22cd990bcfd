#include "tests/load/common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

void die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
            errno ? strerror(errno) : "cannot be used");
    exit(1);
}

double number(const char *text, double min, double max)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= min && value <= max))
        die(text);
    return value;
}

void *must(void *memory)
{
    if (!memory)
        die("memory");
    return memory;
}

static struct address unix_address(const char *path)
{
    struct address a = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un *to = (struct sockaddr_un *)&a.of;
    to->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof to->sun_path)
        die(path);
    strcpy(to->sun_path, path);
    return a;
}

struct address address_parse(const char *text)
{
    char host[INET_ADDRSTRLEN + 1] = "";
    const char *colon = strchr(text, ':');
    if (text[0] == '/')
        return unix_address(text);
    if (!colon || (size_t)(colon - text) >= sizeof host)
        die(text);
    memcpy(host, text, (size_t)(colon - text));
    struct address a = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *to = (struct sockaddr_in *)&a.of;
    to->sin_family = AF_INET;
    to->sin_port = htons((uint16_t)number(colon + 1, 1, UINT16_MAX));
    if (inet_pton(AF_INET, host, &to->sin_addr) != 1)
        die(text);
    return a;
}

int connect_in(int poll, const struct address *address, uint32_t tag)
{
    const int on = 1;
    int fd = socket(address->of.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (address->of.ss_family == AF_INET)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP,
                                .data.u32 = tag};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
    if (connect(fd, (const struct sockaddr *)&address->of, address->length) != 0 &&
        errno != EINPROGRESS)
        die("connect");
    return fd;
}

/* Value of a header, NULL if there is none. */
static const char *header(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0)
            return line + 2 + n;
    return NULL;
}

bool head_parse(struct head *out, const char *head)
{
    const char *length = header(head, "Content-Length:");
    const char *connection = header(head, "Connection:");
    *out = (struct head){
        .has_length = length,
        .length = length ? strtoul(length, NULL, 10) : 0,
        .closes = connection && strncasecmp(connection + strspn(connection, " "), "close", 5) == 0,
    };
    return sscanf(head, "HTTP/1.1 %3d ", &out->status) == 1;
}

int64_t random_gap_ns(double rate)
{
    return (int64_t)(-log(1 - drand48()) / rate * 1e9);
}

int wait_for_events(int poll, struct epoll_event events[EVENTS_MAX], int64_t wait_ns)
{
    const struct timespec wait = {.tv_nsec = wait_ns > 0 ? wait_ns : 0};
    return epoll_pwait2(poll, events, EVENTS_MAX, &wait, NULL);
}

void times_add(struct times *t, double ms)
{
    if (t->count == t->space) {
        t->space = t->space ? 2 * t->space : 1024;
        t->ms = must(realloc(t->ms, t->space * sizeof *t->ms));
    }
    t->ms[t->count++] = ms;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void times_sort(struct times *t)
{
    if (t->count > 0)
        qsort(t->ms, t->count, sizeof *t->ms, by_size);
}

double times_quantile(const struct times *t, double q)
{
    return t->count ? t->ms[(size_t)(q * (double)(t->count - 1) + 0.5)] : -1;
}
