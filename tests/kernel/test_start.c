#include "kernel/openblas/openblas.h"

#include <limits.h>
#include <string.h>

#include "tests/suite.h"

static const struct cpu_features plain, avx2 = {.avx2 = true};
static const struct cpu_features avx512 = {.avx2 = true, .avx512 = true};

START_TEST(a_core_that_suits_the_cpu_is_left)
{
    const char *const cores[] = {"Haswell", "Excavator", "SkylakeX", "Cooperlake",
                                 "SapphireRapids"};
    for (size_t i = 0; i < sizeof cores / sizeof cores[0]; i++) {
        ck_assert_ptr_null(blas_better_core(cores[i], avx2, NULL));
        ck_assert_ptr_null(blas_better_core(cores[i], avx512, NULL));
    }
    ck_assert_ptr_null(blas_better_core("Prescott", plain, NULL));
    ck_assert_ptr_null(blas_better_core("Sandybridge", plain, NULL));
}
END_TEST

START_TEST(a_cpu_gets_a_core_that_suits_it)
{
    const char *const cores[] = {"Prescott",  "Nehalem", "Sandybridge",
                                 "Barcelona", "Zen",     "Unknown"};
    for (size_t i = 0; i < sizeof cores / sizeof cores[0]; i++) {
        ck_assert_str_eq(blas_better_core(cores[i], avx2, NULL), "Haswell");
        ck_assert_str_eq(blas_better_core(cores[i], avx512, NULL), "SkylakeX");
    }
}
END_TEST

START_TEST(what_was_asked_for_is_left)
{
    const char *const asked[] = {"Prescott", "SkylakeX", "Nonsense", ""};
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        ck_assert_ptr_null(blas_better_core("Prescott", avx512, asked[i]));
}
END_TEST

START_TEST(the_library_is_named_with_its_core)
{
    ck_assert_int_eq(strncmp(blas_library(), "OpenBLAS ", strlen("OpenBLAS ")), 0);
    ck_assert_uint_gt(strlen(blas_library()), strlen("OpenBLAS "));
}
END_TEST

START_TEST(there_is_room_for_a_few_threads_and_not_for_any_number)
{
    struct error err;
    ck_assert_int_eq(blas_check_memory(4, &err), ERR_OK);
    ck_assert_int_eq(blas_check_memory(INT_MAX, &err), ERR_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(err.message, "OpenBLAS has room for 256 threads"));
}
END_TEST

TEST_MAIN("kernel/openblas/start", 10, a_core_that_suits_the_cpu_is_left,
          a_cpu_gets_a_core_that_suits_it, what_was_asked_for_is_left,
          the_library_is_named_with_its_core,
          there_is_room_for_a_few_threads_and_not_for_any_number)
