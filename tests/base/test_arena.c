#include "base/arena.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "tests/suite.h"

START_TEST(blocks_are_aligned_apart_and_zeroed)
{
    static const size_t sizes[] = {1, 64, 65, 0, 1000, 63};
    struct arena arena;
    size_t total = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        total += arena_rounded(sizes[i]);
    ck_assert_uint_eq(total, 64 + 64 + 128 + 0 + 1024 + 64);
    ck_assert_int_eq(arena_create(&arena, total, NULL), ERR_OK);
    unsigned char *end = arena.base;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *block = arena_take(&arena, sizes[i]);
        ck_assert_uint_eq((uintptr_t)block % ARENA_ALIGNMENT, 0);
        ck_assert(block >= end);
        for (size_t k = 0; k < sizes[i]; k++)
            ck_assert_uint_eq(block[k], 0);
        memset(block, 0xa5, sizes[i]);
        end = block + sizes[i];
    }
    ck_assert_uint_eq(arena.used, arena.size);
    arena_destroy(&arena);
}
END_TEST

START_TEST(destroying_twice_is_harmless)
{
    struct arena arena;
    ck_assert_int_eq(arena_create(&arena, 4 << 20, NULL), ERR_OK);
    arena_destroy(&arena);
    ck_assert_ptr_null(arena.base);
    arena_destroy(&arena);
    ck_assert_int_eq(arena_create(&arena, 0, NULL), ERR_OK);
    arena_destroy(&arena);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    struct arena arena;
    struct error err;
    ck_assert_int_eq(arena_create(&arena, SIZE_MAX / 2, &err), ERR_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(err.message, "MiB are needed"));
    ck_assert_ptr_null(arena.base);
    arena_destroy(&arena);
}
END_TEST

static void take_too_much(size_t size)
{
    struct arena arena;
    ck_assert_int_eq(arena_create(&arena, 256, NULL), ERR_OK);
    arena_take(&arena, 64);
    arena_take(&arena, size);
}

START_TEST(taking_too_much_aborts)
{
    take_too_much(193);
}
END_TEST

START_TEST(taking_absurdly_much_aborts)
{
    take_too_much(SIZE_MAX - 8);
}
END_TEST

static void add_cases(TCase *cases)
{
    tcase_add_test(cases, blocks_are_aligned_apart_and_zeroed);
    tcase_add_test(cases, destroying_twice_is_harmless);
    tcase_add_test(cases, impossible_sizes_are_refused);
    tcase_add_test_raise_signal(cases, taking_too_much_aborts, SIGABRT);
    tcase_add_test_raise_signal(cases, taking_absurdly_much_aborts, SIGABRT);
}

int main(void)
{
    return suite_run("base/arena", add_cases, 10);
}
