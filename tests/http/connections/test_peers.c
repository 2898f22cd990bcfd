#include "http/connections/peers.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/suite.h"

enum { CLIENTS = 4, PAUSE_NS = 1000000000 };

static struct peers peers;
static struct peer *of[CLIENTS];
static int clients[CLIENTS], resumed[CLIENTS];

static void count_resume(void *times)
{
    ++*(int *)times;
}

/* All are OPENING, client 0 for the longest time. */
static void begin(void)
{
    static const struct conf conf = {
        .upload_timeout_ms = 10000, .idle_timeout_s = 10, .max_body_bytes = 1024};
    ck_assert_int_eq(peers_open(&peers, &conf, NULL, NULL), ERR_OK);
    for (int i = 0; i < CLIENTS; i++) {
        int pair[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        clients[i] = pair[1];
        of[i] = peers_add(&peers, pair[0]);
        ck_assert_ptr_nonnull(of[i]);
        resumed[i] = 0;
    }
}

static void end(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        close(clients[i]);
        close(of[i]->fd);
    }
    peers_close(&peers);
}

static void pause_request(int client)
{
    peer_receiving(of[client]);
    ck_assert(peer_pause(of[client], PAUSE_NS, count_resume, &resumed[client]));
}

static void close_side(int client)
{
    ck_assert_int_eq(shutdown(clients[client], SHUT_WR), 0);
    uint64_t tag = (uint64_t)of[client]->serial << 32 | (uint32_t)of[client]->fd;
    peers_handle_event(&peers, tag, EPOLLRDHUP);
}

static bool is_cut(int client)
{
    char byte;
    return of[client]->state == CUT && recv(clients[client], &byte, 1, MSG_DONTWAIT) == 0;
}

START_TEST(the_longest_idle_gives_way)
{
    begin();
    peer_receiving(of[0]);
    peer_idle(of[0], false, 200);
    ck_assert(peers_give_way(&peers, of[3]));
    ck_assert(is_cut(1));
    ck_assert(peers_give_way(&peers, of[3]));
    ck_assert(is_cut(2));
    ck_assert(peers_give_way(&peers, of[3]));
    ck_assert(is_cut(0));
    ck_assert(!peers_give_way(&peers, of[3]));
    ck_assert_uint_eq(peers.given, 3);
    end();
}
END_TEST

START_TEST(who_has_sent_something_does_not)
{
    begin();
    ck_assert_int_eq(write(clients[0], "G", 1), 1);
    ck_assert(peers_give_way(&peers, of[3]));
    ck_assert(is_cut(1));
    end();
}
END_TEST

START_TEST(who_left_in_its_turn_gives_way_first)
{
    begin();
    pause_request(1);
    ck_assert_int_eq(write(clients[1], "G", 1), 1); /* which nobody reads in a pause */
    close_side(1);
    close_side(1);
    ck_assert_int_eq(resumed[1], 0);
    ck_assert(peers_give_way(&peers, of[3]));
    ck_assert(is_cut(1));
    ck_assert_int_eq(resumed[1], 1); /* by that libmicrohttpd notices */
    ck_assert(peers_give_way(&peers, of[3]));
    ck_assert(is_cut(0));
    end();
}
END_TEST

START_TEST(who_left_before_its_turn_does_as_well)
{
    begin();
    close_side(2);
    pause_request(2);
    ck_assert(peers_give_way(&peers, of[3]));
    ck_assert(is_cut(2));
    ck_assert_int_eq(resumed[2], 1);
    end();
}
END_TEST

START_TEST(who_stays_keeps_its_turn)
{
    begin();
    for (int i = 0; i < 3; i++)
        pause_request(i);
    ck_assert(!peers_give_way(&peers, of[3]));
    close_side(2);
    peers_resume(of[2]); /* its turn has come */
    ck_assert(!peers_give_way(&peers, of[3]));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(resumed[i], i == 2);
    end();
}
END_TEST

TEST_MAIN("http/peers", 10, the_longest_idle_gives_way, who_has_sent_something_does_not,
          who_left_in_its_turn_gives_way_first, who_left_before_its_turn_does_as_well,
          who_stays_keeps_its_turn)
