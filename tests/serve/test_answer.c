#include "serve/answer.h"

#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

static struct bodies bodies;
static struct answer answer;
static struct error err;

static size_t used(void)
{
    return atomic_load(&bodies.used);
}

static void write_bytes(size_t length)
{
    static const char block[1000];
    for (; length >= sizeof block; length -= sizeof block)
        answer_put(&answer, block, sizeof block);
    answer_put(&answer, block, length);
}

START_TEST(what_is_written_is_there_and_counted)
{
    char text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    answer_begin(&answer, &bodies);
    ck_assert_int_eq(answer.status, 200);
    ck_assert_str_eq(answer.type, "application/json");
    answer_text(&answer, "ab");
    answer_put(&answer, "\0c", 2);
    answer_printf(&answer, "%d,%s", 7, "de");
    ck_assert_uint_eq(answer.length, 8);
    ck_assert_mem_eq(answer.bytes, "ab\0c7,de", 8);
    answer_printf(&answer, "<%s>", text);
    ck_assert_uint_eq(answer.length, 8 + sizeof text + 1);
    ck_assert_mem_eq(answer.bytes + 9, text, sizeof text - 1);
    ck_assert_mem_eq(answer.bytes + answer.length - 2, "x>", 2);
    ck_assert_uint_eq(used(), answer.capacity);
    ck_assert_int_eq(answer_end(&answer, &err), ERR_OK);
    ck_assert_uint_eq(used(), answer.capacity);
    answer_free(&answer);
    ck_assert_uint_eq(used(), 0);
    answer_free(&answer);
}
END_TEST

START_TEST(a_small_answer_is_never_refused)
{
    bodies_count(&bodies, 1000000);
    answer_begin(&answer, &bodies);
    write_bytes(BODIES_SMALL);
    ck_assert_int_eq(answer_end(&answer, &err), ERR_OK);
    ck_assert_uint_eq(used(), 1000000 + BODIES_SMALL);
    answer_free(&answer);
    ck_assert_uint_eq(used(), 1000000);
}
END_TEST

START_TEST(a_large_one_must_fit)
{
    atomic_store(&bodies.limit, 1 << 20);
    answer_begin(&answer, &bodies);
    write_bytes(1 << 20);
    ck_assert_int_eq(answer_end(&answer, &err), ERR_OK);
    ck_assert_uint_eq(used(), 1 << 20);
    answer_free(&answer);

    bodies_count(&bodies, 1);
    answer_begin(&answer, &bodies);
    write_bytes((1 << 20) + 5000);
    ck_assert_int_eq(answer_end(&answer, &err), ERR_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(err.message, "max_body_bytes"));
    ck_assert_uint_le(used(), 1 << 20);
    answer_free(&answer);
    ck_assert_uint_eq(used(), 1);
}
END_TEST

START_TEST(bytes_of_others_are_counted_too)
{
    answer_adopt(&answer, &bodies, strdup("abc"), 3);
    ck_assert_uint_eq(used(), 3);
    ck_assert_int_eq(answer_end(&answer, &err), ERR_OK);
    answer_free(&answer);
    ck_assert_uint_eq(used(), 0);
}
END_TEST

/* Each time it grows all of it may be copied. */
START_TEST(it_grows_a_few_times_also_where_little_room_is_left)
{
    enum { LENGTH = 1 << 20, SPACE = LENGTH + LENGTH / 16, MOST = 100 };
    size_t capacity = 0;
    int times = 0;
    atomic_store(&bodies.limit, SPACE);
    answer_begin(&answer, &bodies);
    for (int i = 0; i < LENGTH; i++) {
        answer_put(&answer, "x", 1);
        times += answer.capacity != capacity;
        capacity = answer.capacity;
    }
    ck_assert_int_le(times, MOST);
    ck_assert_int_eq(answer_end(&answer, &err), ERR_OK);
    ck_assert_uint_eq(used(), LENGTH);
    answer_free(&answer);
}
END_TEST

static bool goes_on(void *left)
{
    return (*(int *)left)-- > 0;
}

START_TEST(it_ends_when_nobody_waits_for_it)
{
    enum { MOST = 1 << 20 };
    int left = 3;
    answer_begin(&answer, &bodies);
    answer.go_on = goes_on;
    answer.arg = &left;
    for (int i = 0; i < MOST; i++)
        answer_put(&answer, "x", 1);
    ck_assert_int_eq(left, -1);
    ck_assert(answer.length > 0 && answer.length < MOST / 64);
    ck_assert(!answer_goes_on(&answer));
    ck_assert_int_eq(answer_end(&answer, &err), ERR_DEADLINE);
    answer_free(&answer);
    ck_assert_uint_eq(used(), 0);
}
END_TEST

START_TEST(nobody_is_asked_about_one_that_has_failed_or_ended)
{
    int left = 1 << 20;
    answer_begin(&answer, &bodies);
    answer.go_on = goes_on;
    answer.arg = &left;
    write_bytes(BODIES_SMALL + 1);
    ck_assert_int_eq(answer_end(&answer, &err), ERR_OVERLOADED);
    left = 0;
    for (int i = 0; i < 1 << 20; i++)
        ck_assert(!answer_goes_on(&answer));
    ck_assert_int_eq(left, 0);
    answer_free(&answer);
}
END_TEST

TEST_MAIN("serve/answer", 10, what_is_written_is_there_and_counted, a_small_answer_is_never_refused,
          a_large_one_must_fit, it_grows_a_few_times_also_where_little_room_is_left,
          bytes_of_others_are_counted_too, it_ends_when_nobody_waits_for_it,
          nobody_is_asked_about_one_that_has_failed_or_ended)
