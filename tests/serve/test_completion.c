#include "serve/completion.h"

#include <pthread.h>

#include "base/error.h"
#include "tests/suite.h"

static atomic_int done_calls;

static void count_done(void *calls)
{
    atomic_fetch_add((atomic_int *)calls, 1);
}

static void begin(struct completion *c)
{
    completion_init(c);
    c->done = count_done;
    c->waiter = &done_calls;
}

START_TEST(only_the_first_finish_counts)
{
    struct completion c;
    begin(&c);
    ck_assert_int_eq(completion_outcome(&c), COMPLETION_PENDING);
    ck_assert(completion_finish(&c, ERR_DEADLINE));
    ck_assert(!completion_finish(&c, ERR_OK));
    ck_assert_int_eq(completion_outcome(&c), ERR_DEADLINE);
    ck_assert_int_eq(done_calls, 1);
}
END_TEST

START_TEST(only_the_last_release_says_so)
{
    struct completion c;
    begin(&c);
    completion_reference(&c);
    ck_assert(!completion_release(&c));
    ck_assert_int_eq(completion_outcome(&c), COMPLETION_PENDING);
    ck_assert(completion_release(&c));
    ck_assert_int_eq(done_calls, 0);
}
END_TEST

static pthread_barrier_t barrier;

static void *try_to_finish(void *completion)
{
    pthread_barrier_wait(&barrier);
    return completion_finish(completion, ERR_CLIENT_GONE) ? completion : NULL;
}

START_TEST(of_racing_threads_one_wins)
{
    enum { THREADS = 4, ROUNDS = 200 };
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int round = 0; round < ROUNDS; round++) {
        struct completion c;
        pthread_t threads[THREADS];
        int winners = 0;
        begin(&c);
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, try_to_finish, &c), 0);
        for (int i = 0; i < THREADS; i++) {
            void *won;
            pthread_join(threads[i], &won);
            winners += won != NULL;
        }
        ck_assert_int_eq(winners, 1);
    }
    ck_assert_int_eq(done_calls, ROUNDS);
    pthread_barrier_destroy(&barrier);
}
END_TEST

TEST_MAIN("serve/completion", 30, only_the_first_finish_counts, only_the_last_release_says_so,
          of_racing_threads_one_wins)
