#include <string.h>

#include "kernel/kernel.h"
#include "tests/suite.h"

static const struct conv_shape pointwise = {7, 7, 8, 7, 7, 8, 1, 1, 0, 1};
static const struct conv_shape grouped = {7, 7, 64, 7, 7, 64, 3, 1, 1, 16};

START_TEST(auto_is_the_highest_rung)
{
    struct kernel_ladder automatic, unnamed;
    ck_assert(kernel_ladder_select("auto", &automatic));
    ck_assert(kernel_ladder_select(NULL, &unnamed));
    ck_assert_int_eq(automatic.top, unnamed.top);
    const char *const *names = kernel_rung_names();
    while (names[1])
        names++;
    ck_assert_str_eq(kernel_ladder_name(automatic), *names);
}
END_TEST

START_TEST(a_rung_lowers_the_choice)
{
    struct kernel_ladder ref, top;
    ck_assert(kernel_ladder_select("ref", &ref));
    ck_assert(kernel_ladder_select("openblas", &top));
    ck_assert_str_eq(kernel_conv(ref, &pointwise)->name, "f32_conv__ref");
    ck_assert_str_eq(kernel_conv(ref, &grouped)->name, "f32_conv__ref");
    ck_assert_str_eq(kernel_conv(top, &pointwise)->name, "f32_pointwise__openblas");
    ck_assert_str_eq(kernel_conv(top, &grouped)->isa, "openblas");
}
END_TEST

START_TEST(an_unknown_rung_is_refused)
{
    struct kernel_ladder ladder;
    ck_assert(!kernel_ladder_select("mmx", &ladder));
    ck_assert(!kernel_ladder_select("", &ladder));
}
END_TEST

START_TEST(every_kernel_is_complete_and_well_named)
{
    size_t count;
    const struct conv_kernel *const *list = kernel_conv_list(&count);
    for (size_t i = 0; i < count; i++) {
        const struct conv_kernel *k = list[i];
        ck_assert(k->supports && k->packed_size && k->pack && k->scratch_size && k->run);
        const char *suffix = strstr(k->name, "__");
        ck_assert_ptr_nonnull(suffix);
        ck_assert_str_eq(suffix + 2, k->isa);
        struct kernel_ladder ladder;
        ck_assert(kernel_ladder_select(k->isa, &ladder));
    }
}
END_TEST

START_TEST(openblas_names_its_core)
{
    ck_assert(strlen(kernel_blas_core()) > 0);
}
END_TEST

TEST_MAIN("kernel/table", 10, auto_is_the_highest_rung, a_rung_lowers_the_choice,
          an_unknown_rung_is_refused, every_kernel_is_complete_and_well_named,
          openblas_names_its_core)
