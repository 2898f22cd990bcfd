#include "serve/queue.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/suite.h"

static struct queue *queue;

static void ignore(void *waiter)
{
    (void)waiter;
}

static struct request *new_request(void)
{
    struct request *r;
    struct error err;
    ck_assert_int_eq(request_create(&r, NULL, 0, 1, 1, NULL, &err), ERR_OK);
    r->completion.done = ignore;
    return r;
}

static void new_queue(size_t limit)
{
    struct error err;
    ck_assert_int_eq(queue_create(&queue, &err), ERR_OK);
    queue_resize(queue, limit, 1);
}

static struct request *pop(void)
{
    struct request *r;
    ck_assert_int_eq(queue_pop(queue, 0, 0, &r), QUEUE_GOT);
    return r;
}

START_TEST(first_in_first_out)
{
    new_queue(3);
    struct request *r[3];
    for (int i = 0; i < 3; i++) {
        r[i] = new_request();
        ck_assert_int_eq(queue_push(queue, r[i]), ERR_OK);
        ck_assert_uint_eq(queue_depth(queue, NULL), (size_t)i + 1);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(pop(), r[i]);
        request_release(r[i]); /* the queue's */
        request_release(r[i]);
    }
    ck_assert_uint_eq(queue_depth(queue, NULL), 0);
    queue_destroy(queue);
}
END_TEST

START_TEST(it_refuses_at_its_limit)
{
    new_queue(1);
    struct request *waiting = new_request(), *refused = new_request();
    ck_assert_int_eq(queue_push(queue, waiting), ERR_OK);
    ck_assert_int_eq(queue_push(queue, refused), ERR_OVERLOADED);
    ck_assert_uint_eq(queue_depth(queue, NULL), 1);
    request_release(pop());
    ck_assert_int_eq(queue_push(queue, refused), ERR_OK);
    request_release(waiting);
    request_release(refused);
    queue_destroy(queue);
}
END_TEST

START_TEST(what_is_removed_makes_room)
{
    new_queue(3);
    struct request *r[3];
    for (int i = 0; i < 3; i++) {
        r[i] = new_request();
        queue_push(queue, r[i]);
    }
    queue_remove(queue, r[1]);
    queue_remove(queue, r[1]);
    ck_assert_uint_eq(queue_depth(queue, NULL), 2);
    queue_remove(queue, r[2]);
    ck_assert_int_eq(queue_push(queue, r[1]), ERR_OK);
    ck_assert_ptr_eq(pop(), r[0]);
    ck_assert_ptr_eq(pop(), r[1]);
    request_release(r[0]);
    request_release(r[1]);
    for (int i = 0; i < 3; i++)
        request_release(r[i]);
    queue_destroy(queue);
}
END_TEST

START_TEST(a_closed_queue_hands_out_what_waits)
{
    new_queue(2);
    struct request *waiting = new_request(), *late = new_request(), *none;
    queue_push(queue, waiting);
    queue_close(queue);
    ck_assert_int_eq(queue_push(queue, late), ERR_DRAINING);
    ck_assert_ptr_eq(pop(), waiting);
    ck_assert_int_eq(queue_pop(queue, 0, -1, &none), QUEUE_CLOSED);
    request_release(waiting);
    request_release(waiting);
    request_release(late);
    queue_destroy(queue);
}
END_TEST

START_TEST(pop_waits_as_long_as_it_may)
{
    new_queue(1);
    struct request *none;
    int64_t begin = clock_monotonic_ns();
    ck_assert_int_eq(queue_pop(queue, 0, 20000000, &none), QUEUE_TIMEOUT);
    ck_assert_int_ge(clock_monotonic_ns() - begin, 20000000);
    queue_destroy(queue);
}
END_TEST

START_TEST(a_call_is_heard_until_it_is_taken_back)
{
    new_queue(2);
    struct request *waiting = new_request(), *none;
    ck_assert(queue_is_idle(queue));
    ck_assert_int_eq(queue_call_idle(queue), 0);
    ck_assert_int_eq(queue_call_idle(queue), 0);
    queue_dismiss_idle(queue);
    ck_assert_int_eq(queue_pop(queue, 0, -1, &none), QUEUE_CALLED);
    queue_push(queue, waiting);
    ck_assert(!queue_is_idle(queue));
    ck_assert_ptr_eq(pop(), waiting); /* requests come first */
    ck_assert(queue_is_idle(queue));
    queue_dismiss_idle(queue);
    ck_assert_int_eq(queue_pop(queue, 0, 0, &none), QUEUE_TIMEOUT);
    queue_call_idle(queue);
    queue_close(queue);
    ck_assert(!queue_is_idle(queue));
    ck_assert_int_eq(queue_pop(queue, 0, -1, &none), QUEUE_CLOSED);
    request_release(waiting);
    request_release(waiting);
    queue_destroy(queue);
}
END_TEST

static void *pop_result(void *arg)
{
    struct request *r;
    *(enum queue_result *)arg = queue_pop(queue, 0, -1, &r);
    return NULL;
}

START_TEST(a_call_wakes_all_that_wait)
{
    new_queue(1);
    pthread_t threads[2];
    enum queue_result results[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, pop_result, &results[i]), 0);
    queue_call_idle(queue);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(results[i], QUEUE_CALLED);
    }
    queue_destroy(queue);
}
END_TEST

static void *pop_through_calls(void *arg)
{
    (void)arg;
    struct request *r;
    while (queue_pop(queue, 0, -1, &r) == QUEUE_CALLED)
        ;
    return r;
}

static void wait_until_one_waits(void)
{
    while (queue_call_idle(queue) == 0) {
        queue_dismiss_idle(queue);
        sched_yield();
    }
    queue_dismiss_idle(queue);
}

START_TEST(a_caller_learns_how_many_wait)
{
    new_queue(1);
    pthread_t thread;
    struct request *request = new_request();
    void *got;
    ck_assert_int_eq(pthread_create(&thread, NULL, pop_through_calls, NULL), 0);
    wait_until_one_waits();
    queue_push(queue, request);
    ck_assert_int_eq(pthread_join(thread, &got), 0);
    ck_assert_ptr_eq(got, request);
    ck_assert_int_eq(queue_call_idle(queue), 0);
    request_release(request);
    request_release(request);
    queue_destroy(queue);
}
END_TEST

static void *pop_one(void *arg)
{
    (void)arg;
    struct request *r;
    return queue_pop(queue, 0, -1, &r) == QUEUE_GOT ? r : NULL;
}

START_TEST(a_push_wakes_one_that_waits)
{
    new_queue(1);
    pthread_t thread;
    void *got;
    struct request *r = new_request();
    ck_assert_int_eq(pthread_create(&thread, NULL, pop_one, NULL), 0);
    ck_assert_int_eq(queue_push(queue, r), ERR_OK);
    pthread_join(thread, &got);
    ck_assert_ptr_eq(got, r);
    request_release(r);
    request_release(r);
    queue_destroy(queue);
}
END_TEST

START_TEST(closing_wakes_all_that_wait)
{
    enum { THREADS = 3 };
    new_queue(1);
    pthread_t threads[THREADS];
    void *got;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, pop_one, NULL), 0);
    queue_close(queue);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &got);
        ck_assert_ptr_null(got);
    }
    queue_destroy(queue);
}
END_TEST

START_TEST(destroying_lets_go_of_what_waits)
{
    new_queue(1);
    struct request *r = new_request();
    queue_push(queue, r);
    queue_destroy(queue);
    queue_destroy(NULL);
    ck_assert_int_eq(atomic_load(&r->completion.references), 1);
    request_release(r);
}
END_TEST

START_TEST(for_a_worker_beyond_their_number_it_is_closed)
{
    new_queue(2);
    struct request *r = new_request(), *got;
    queue_push(queue, r);
    queue_call_idle(queue);
    ck_assert_int_eq(queue_pop(queue, 1, -1, &got), QUEUE_CLOSED);
    queue_resize(queue, 2, 2);
    ck_assert_int_eq(queue_workers(queue), 2);
    ck_assert_int_eq(queue_pop(queue, 1, -1, &got), QUEUE_GOT);
    ck_assert_ptr_eq(got, r);
    queue_dismiss_idle(queue);
    request_release(r);
    request_release(r);
    queue_destroy(queue);
}
END_TEST

/* As worker 1, which hears calls and does not help. */
static void *pop_as_second(void *arg)
{
    enum queue_result *result = arg;
    struct request *r;
    while ((*result = queue_pop(queue, 1, -1, &r)) == QUEUE_CALLED)
        ;
    return r;
}

START_TEST(a_worker_that_waits_and_becomes_surplus_leaves)
{
    new_queue(2);
    queue_resize(queue, 2, 2);
    pthread_t thread;
    enum queue_result result;
    struct request *r = new_request();
    ck_assert_int_eq(pthread_create(&thread, NULL, pop_as_second, &result), 0);
    wait_until_one_waits();
    queue_resize(queue, 2, 1);
    queue_push(queue, r);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(result, QUEUE_CLOSED);
    ck_assert_ptr_eq(pop(), r);
    request_release(r);
    request_release(r);
    queue_destroy(queue);
}
END_TEST

START_TEST(a_lower_limit_keeps_what_waits)
{
    new_queue(2);
    struct request *r[3];
    for (int i = 0; i < 3; i++)
        r[i] = new_request();
    queue_push(queue, r[0]);
    queue_push(queue, r[1]);
    queue_resize(queue, 1, 1);
    ck_assert_uint_eq(queue_limit(queue), 1);
    ck_assert_int_eq(queue_push(queue, r[2]), ERR_OVERLOADED);
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_eq(pop(), r[i]);
        request_release(r[i]);
    }
    ck_assert_int_eq(queue_push(queue, r[2]), ERR_OK);
    for (int i = 0; i < 3; i++)
        request_release(r[i]);
    queue_destroy(queue);
}
END_TEST

TEST_MAIN("serve/queue", 10, a_call_is_heard_until_it_is_taken_back, a_call_wakes_all_that_wait,
          a_caller_learns_how_many_wait, first_in_first_out, it_refuses_at_its_limit,
          what_is_removed_makes_room, a_closed_queue_hands_out_what_waits,
          pop_waits_as_long_as_it_may, a_push_wakes_one_that_waits, closing_wakes_all_that_wait,
          destroying_lets_go_of_what_waits, for_a_worker_beyond_their_number_it_is_closed,
          a_worker_that_waits_and_becomes_surplus_leaves, a_lower_limit_keeps_what_waits)
