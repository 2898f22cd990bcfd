#include "base/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/suite.h"

/* A manager's socket under `name`, in the form of NOTIFY_SOCKET, which is set to it. */
static int listen_as(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    if (*name == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void expect(int fd, const char *state)
{
    char got[256] = "";
    ck_assert_int_eq(recv(fd, got, sizeof got - 1, 0), (int)strlen(state));
    ck_assert_str_eq(got, state);
}

START_TEST(paths_and_abstract_names_are_reached)
{
    char name[64];
    snprintf(name, sizeof name, "@test-notify-%d", (int)getpid());
    int fd = listen_as(name);
    ck_assert(notify("READY=1\nSTATUS=serving"));
    expect(fd, "READY=1\nSTATUS=serving");
    close(fd);
    snprintf(name, sizeof name, "/tmp/test-notify-%d", (int)getpid());
    fd = listen_as(name);
    ck_assert(notify("WATCHDOG=1"));
    expect(fd, "WATCHDOG=1");
    unlink(name);
    close(fd);
}
END_TEST

START_TEST(who_does_not_read_delays_a_second_at_most)
{
    char name[64];
    snprintf(name, sizeof name, "@test-notify-full-%d", (int)getpid());
    int fd = listen_as(name), sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    while (sendto(sender, "x", 1, 0, (struct sockaddr *)&address, size) == 1)
        ;
    int64_t begin = clock_monotonic_ns();
    ck_assert(!notify("WATCHDOG=1"));
    double seconds = clock_ns_to_s(clock_monotonic_ns() - begin);
    ck_assert_double_ge(seconds, 0.9);
    ck_assert_double_le(seconds, 5);
    expect(fd, "x");
    ck_assert(notify("READY=1"));
    char last[16] = "", got[16] = "";
    for (ssize_t n; (n = recv(fd, got, sizeof got - 1, 0)) > 0; got[n] = '\0')
        memcpy(last, got, sizeof last);
    ck_assert_str_eq(last, "READY=1");
    close(sender);
    close(fd);
}
END_TEST

START_TEST(nobody_to_notify_is_fine)
{
    char too_long[200];
    memset(too_long, 'x', sizeof too_long);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    const char *const names[] = {"", "@", "relative", "/no/such/socket", too_long};
    unsetenv("NOTIFY_SOCKET");
    ck_assert(notify("READY=1"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        ck_assert(notify("READY=1") == (strcmp(names[i], "/no/such/socket") != 0));
    }
}
END_TEST

TEST_MAIN("base/notify", 20, paths_and_abstract_names_are_reached,
          who_does_not_read_delays_a_second_at_most, nobody_to_notify_is_fine)
