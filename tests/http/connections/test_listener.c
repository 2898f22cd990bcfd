#include "http/connections/listener.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/suite.h"

static struct listener listener;
static struct error err;

static int open_one(const char *address)
{
    char *items[] = {(char *)address};
    const struct text_list list = {items, 1};
    return listener_open(&listener, &list, false, &err);
}

static const char *temporary_path(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/resnextd-test-%ld.sock", (long)getpid());
    return path;
}

static const char *temporary_address(void)
{
    static char address[80];
    snprintf(address, sizeof address, "unix:%s", temporary_path());
    return address;
}

START_TEST(a_port_in_use_is_an_error_that_says_what_to_do)
{
    ck_assert_int_eq(open_one("127.0.0.1:0"), ERR_OK);
    struct sockaddr_in bound;
    socklen_t length = sizeof bound;
    ck_assert_int_eq(getsockname(listener.fds[0], (struct sockaddr *)&bound, &length), 0);
    struct listener first = listener;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(bound.sin_port));
    ck_assert_int_eq(open_one(address), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, address));
    ck_assert_ptr_nonnull(strstr(err.message, "another port"));
    listener_close(&listener);
    listener_close(&first);
}
END_TEST

START_TEST(what_is_no_place_to_listen_says_what_is)
{
    /* TEST-NET-1 (RFC 5737) is nobody's. */
    if (open_one("192.0.2.1:0") != ERR_OK) /* but for ip_nonlocal_bind */
        ck_assert_ptr_nonnull(strstr(err.message, "an address of this machine"));
    listener_close(&listener);
    ck_assert_int_eq(open_one("unix:/nonexistent/socket"), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "create its folder first"));
    listener_close(&listener);
}
END_TEST

START_TEST(ipv4_and_ipv6_share_a_port)
{
    ck_assert_int_eq(open_one("0.0.0.0:0"), ERR_OK);
    struct sockaddr_in bound;
    socklen_t length = sizeof bound;
    getsockname(listener.fds[0], (struct sockaddr *)&bound, &length);
    struct listener first = listener;
    char address[32];
    snprintf(address, sizeof address, "[::]:%d", ntohs(bound.sin_port));
    int code = open_one(address);
    if (code != ERR_OK) /* a machine without IPv6 */
        ck_assert_ptr_nonnull(strstr(err.message, "family"));
    listener_close(&listener);
    listener_close(&first);
}
END_TEST

START_TEST(a_socket_file_goes_with_its_listener)
{
    struct stat status;
    ck_assert_int_eq(open_one(temporary_address()), ERR_OK);
    ck_assert_int_eq(stat(temporary_path(), &status), 0);
    ck_assert(S_ISSOCK(status.st_mode));
    listener_close(&listener);
    ck_assert_int_ne(stat(temporary_path(), &status), 0);
}
END_TEST

START_TEST(a_left_over_socket_file_is_replaced)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, temporary_path());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    ck_assert_int_eq(open_one(temporary_address()), ERR_OK);
    listener_close(&listener);
}
END_TEST

START_TEST(a_socket_file_in_use_is_left_alone)
{
    ck_assert_int_eq(open_one(temporary_address()), ERR_OK);
    struct listener first = listener;
    ck_assert_int_eq(open_one(temporary_address()), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "a program listens there"));
    listener_close(&listener);
    struct stat status;
    ck_assert_int_eq(stat(temporary_path(), &status), 0);
    listener_close(&first);
}
END_TEST

START_TEST(a_socket_file_whose_owner_accepts_nobody_is_left_alone)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, temporary_path());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), client;
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    do /* until the backlog is full */
        client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    while (connect(client, (const struct sockaddr *)&address, sizeof address) == 0);
    ck_assert_int_eq(open_one(temporary_address()), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "a program listens there"));
    listener_close(&listener);
    ck_assert_int_eq(unlink(temporary_path()), 0);
}
END_TEST

START_TEST(another_file_is_never_removed)
{
    FILE *f = fopen(temporary_path(), "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    ck_assert_int_eq(open_one(temporary_address()), ERR_CONFIG);
    listener_close(&listener);
    ck_assert_int_eq(unlink(temporary_path()), 0);
}
END_TEST

START_TEST(systemd_without_sockets_is_an_error)
{
    unsetenv("LISTEN_FDS");
    ck_assert_int_eq(open_one("systemd"), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "resnextd.socket"));
    listener_close(&listener);
}
END_TEST

START_TEST(no_address_is_an_error)
{
    const struct text_list none = {0};
    ck_assert_int_eq(listener_open(&listener, &none, false, &err), ERR_CONFIG);
    listener_close(&listener);
}
END_TEST

TEST_MAIN("http/listener", 10, a_port_in_use_is_an_error_that_says_what_to_do,
          what_is_no_place_to_listen_says_what_is, ipv4_and_ipv6_share_a_port,
          a_socket_file_goes_with_its_listener, a_left_over_socket_file_is_replaced,
          a_socket_file_in_use_is_left_alone,
          a_socket_file_whose_owner_accepts_nobody_is_left_alone, another_file_is_never_removed,
          systemd_without_sockets_is_an_error, no_address_is_an_error)
