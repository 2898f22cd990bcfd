#include "http/connections/linger.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/connections/deadlines.h"
#include "tests/suite.h"

enum { CLIENTS = LINGER_MAX + 8 };

static const int64_t LATE = 100 * LINGER_NS;

static struct lingerers linger;
static int clients[CLIENTS];

static struct in6_addr address(int number)
{
    struct in6_addr ip = {0};
    ip.s6_addr[14] = (uint8_t)(number >> 8);
    ip.s6_addr[15] = (uint8_t)number;
    return ip;
}

static void begin(void)
{
    linger = (struct lingerers){.epoll_fd = epoll_create1(0)};
    ck_assert_int_ge(linger.epoll_fd, 0);
}

/* Client `number` lingers from time 0 on; it is the one of tag `number`. */
static int64_t add(int number, int ip, int64_t end_ns, uint64_t bytes)
{
    int pair[2];
    struct in6_addr from = address(ip);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    clients[number] = pair[1];
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = (uint64_t)number};
    ck_assert_int_eq(epoll_ctl(linger.epoll_fd, EPOLL_CTL_ADD, pair[0], &event), 0);
    return linger_add(&linger, pair[0], (uint64_t)number, &from, 0, end_ns, bytes);
}

static void send_bytes(int number, size_t count)
{
    static const char bytes[4096];
    ck_assert_int_eq(send(clients[number], bytes, count, MSG_NOSIGNAL), (ssize_t)count);
}

/* Some bytes come, and are noticed. */
static void speak(int number, size_t count, int64_t now_ns)
{
    send_bytes(number, count);
    linger_handle_event(&linger, (uint64_t)number, now_ns);
}

static bool lingers(int number)
{
    char byte;
    ssize_t n = recv(clients[number], &byte, 1, MSG_DONTWAIT);
    ck_assert(n <= 0);
    return n < 0 && errno == EAGAIN;
}

static void finish(int count)
{
    linger_close(&linger);
    ck_assert_uint_eq(linger.count, 0);
    for (int i = 0; i < count; i++) {
        ck_assert(!lingers(i));
        close(clients[i]);
    }
    close(linger.epoll_fd);
}

START_TEST(the_oldest_gives_way_to_who_is_one_too_many)
{
    begin();
    for (int i = 0; i < LINGER_MAX; i++)
        add(i, i + 1, LATE, 1000);
    ck_assert(lingers(0));
    for (int i = LINGER_MAX; i < CLIENTS; i++) {
        add(i, i + 1, LATE, 1000);
        ck_assert(!lingers(i - LINGER_MAX));
        ck_assert(lingers(i - LINGER_MAX + 1));
        ck_assert(lingers(i));
    }
    finish(CLIENTS);
}
END_TEST

START_TEST(a_crowd_of_one_address_displaces_only_itself)
{
    begin();
    add(0, 1, LATE, 1000);
    for (int i = 1; i < CLIENTS; i++) {
        add(i, 2, LATE, 1000);
        ck_assert(i < LINGER_MAX || !lingers(i - LINGER_MAX + 1));
        ck_assert(i < LINGER_MAX || lingers(i - LINGER_MAX + 2));
    }
    ck_assert(lingers(0));
    ck_assert_uint_eq(linger.count, LINGER_MAX);
    finish(CLIENTS);
}
END_TEST

/* Many small crowds come and go, and who came before them stays. */
START_TEST(the_largest_crowd_gives_way)
{
    begin();
    add(0, 1, LATE, 1000);
    for (int i = 1; i < LINGER_MAX; i++)
        add(i, 2 + i % 9, LATE, 1000);
    add(LINGER_MAX, 1, LATE, 1000);
    ck_assert(lingers(0));
    ck_assert(!lingers(1));
    ck_assert(lingers(2));
    finish(LINGER_MAX + 1);
}
END_TEST

START_TEST(who_is_silent_ends_and_who_sends_does_not)
{
    begin();
    ck_assert_int_eq(add(0, 1, LATE, 1000), LINGER_NS);
    add(1, 2, LATE, 1000);
    speak(1, 1, LINGER_NS / 2);
    ck_assert_int_eq(linger_expire(&linger, LINGER_NS - 1), LINGER_NS);
    ck_assert_int_eq(linger_expire(&linger, LINGER_NS), LINGER_NS + LINGER_NS / 2);
    ck_assert(!lingers(0));
    ck_assert(lingers(1));
    ck_assert_int_eq(linger_expire(&linger, 2 * LINGER_NS), DEADLINE_NEVER);
    ck_assert(!lingers(1));
    finish(2);
}
END_TEST

START_TEST(what_came_while_we_stood_still_was_no_silence)
{
    begin();
    add(0, 1, LATE, 1000);
    send_bytes(0, 1);
    ck_assert_int_eq(linger_expire(&linger, 5 * LINGER_NS), 6 * LINGER_NS);
    ck_assert(lingers(0));
    finish(1);
}
END_TEST

START_TEST(nobody_lingers_beyond_the_end)
{
    begin();
    ck_assert_int_eq(add(0, 1, LINGER_NS / 2, 1000), LINGER_NS / 2);
    add(1, 2, 3 * LINGER_NS / 2, 1000);
    speak(1, 1, LINGER_NS / 4);
    ck_assert_int_eq(linger_expire(&linger, LINGER_NS / 2), 5 * LINGER_NS / 4);
    ck_assert(!lingers(0));
    speak(1, 1, LINGER_NS);
    send_bytes(1, 1);
    ck_assert_int_eq(linger_expire(&linger, 3 * LINGER_NS / 2 - 1), 3 * LINGER_NS / 2);
    ck_assert_int_eq(linger_expire(&linger, 3 * LINGER_NS / 2), DEADLINE_NEVER);
    ck_assert(!lingers(1));
    finish(2);
}
END_TEST

START_TEST(an_earlier_end_can_be_set_and_no_later_one)
{
    begin();
    add(0, 1, LATE, 1000);
    add(1, 2, 10, 1000);
    linger_end_by(&linger, 20);
    ck_assert_int_eq(linger_expire(&linger, 0), 10);
    ck_assert_int_eq(linger_expire(&linger, 10), 20);
    ck_assert_int_eq(linger_expire(&linger, 20), DEADLINE_NEVER);
    finish(2);
}
END_TEST

START_TEST(who_sends_too_much_ends)
{
    begin();
    add(0, 1, LATE, 3000);
    speak(0, 2000, 1);
    speak(0, 1000, 2);
    ck_assert(lingers(0));
    speak(0, 1, 3);
    ck_assert_uint_eq(linger.count, 0);
    close(clients[0]);
    close(linger.epoll_fd);
}
END_TEST

START_TEST(who_has_closed_ends_and_what_nobody_has_is_passed_over)
{
    struct epoll_event event;
    begin();
    add(0, 1, LATE, 1000);
    add(1, 2, LATE, 1000);
    shutdown(clients[1], SHUT_WR);
    ck_assert_int_eq(epoll_wait(linger.epoll_fd, &event, 1, 0), 1);
    ck_assert_uint_eq(event.data.u64, 1);
    linger_handle_event(&linger, 7, 1);
    linger_handle_event(&linger, event.data.u64, 1);
    ck_assert(lingers(0));
    ck_assert(!lingers(1));
    ck_assert_int_eq(epoll_wait(linger.epoll_fd, &event, 1, 0), 0);
    finish(2);
}
END_TEST

TEST_MAIN("http/linger", 60, the_oldest_gives_way_to_who_is_one_too_many,
          a_crowd_of_one_address_displaces_only_itself, the_largest_crowd_gives_way,
          who_is_silent_ends_and_who_sends_does_not, what_came_while_we_stood_still_was_no_silence,
          nobody_lingers_beyond_the_end, an_earlier_end_can_be_set_and_no_later_one,
          who_sends_too_much_ends, who_has_closed_ends_and_what_nobody_has_is_passed_over)
