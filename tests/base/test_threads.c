#include "base/threads.h"

#include <sched.h>
#include <signal.h>
#include <string.h>

#include "tests/suite.h"

START_TEST(the_budget_follows_the_affinity)
{
    cpu_set_t all, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    ck_assert_int_ge(thread_cpu_budget(), 1);
    ck_assert_int_le(thread_cpu_budget(), CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(thread_cpu_budget(), 1);
}
END_TEST

struct seen {
    char name[16];
    sigset_t blocked;
};

static void *look_around(void *arg)
{
    struct seen *seen = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    return NULL;
}

START_TEST(threads_have_their_name_and_block_every_signal)
{
    struct seen seen;
    struct error err;
    pthread_t thread;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    ck_assert_int_eq(thread_start(&thread, "look", look_around, &seen, &err), ERR_OK);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert_str_eq(seen.name, "look");
    ck_assert_int_eq(sigismember(&seen.blocked, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&seen.blocked, SIGHUP), 1);
    ck_assert_int_eq(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}
END_TEST

TEST_MAIN("base/threads", 10, the_budget_follows_the_affinity,
          threads_have_their_name_and_block_every_signal)
