#include <string.h>

#include "kernel/kernel.h"
#include "tests/suite.h"

static const struct conv_shape pointwise = {7, 7, 8, 7, 7, 8, 1, 1, 0, 1};
static const struct conv_shape grouped = {7, 7, 64, 7, 7, 64, 3, 1, 1, 16};

static int isa_of(const char *isa)
{
    const char *const *names = kernel_isa_choices + 1;
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], isa) == 0)
            return i;
    ck_abort_msg("no ISA %s", isa);
    return -1;
}

START_TEST(auto_is_the_highest_isa)
{
    struct kernel_isas automatic, unnamed;
    ck_assert(kernel_isas_select("auto", &automatic));
    ck_assert(kernel_isas_select(NULL, &unnamed));
    ck_assert_int_eq(automatic.top, unnamed.top);
    const char *highest = NULL;
    struct kernel_isas isas;
    for (const char *const *name = kernel_isa_choices + 1; *name; name++)
        if (kernel_isas_select(*name, &isas)) {
            ck_assert_str_eq(kernel_isa_choices[1 + isas.top], *name);
            highest = *name;
        }
    ck_assert_str_eq(kernel_isa_choices[1 + automatic.top], highest);
}
END_TEST

START_TEST(a_lower_isa_lowers_the_choice)
{
    struct kernel_isas ref, top;
    ck_assert(kernel_isas_select("ref", &ref));
    ck_assert(kernel_isas_select("generic", &top));
    ck_assert_str_eq(kernel_conv(ref, PRECISION_F32, &pointwise)->name, "f32_conv__ref");
    ck_assert_str_eq(kernel_conv(ref, PRECISION_F32, &grouped)->name, "f32_conv__ref");
    ck_assert_str_eq(kernel_conv(top, PRECISION_F32, &pointwise)->name, "f32_dense__generic");
    ck_assert_str_eq(kernel_conv(top, PRECISION_F32, &grouped)->name,
                     "f32_grouped_openblas__generic");
}
END_TEST

/* Whatever ISAs above the reference a machine lacks, the choice is the highest kernel of those that
 * it has. */
START_TEST(a_missing_isa_is_passed_over)
{
    size_t count;
    const struct conv_kernel *const *list = kernel_conv_list(&count);
    const struct conv_shape shapes[] = {pointwise, grouped, {9, 9, 3, 5, 5, 8, 3, 2, 1, 1}};
    int isa_count = 0;
    while (kernel_isa_choices[1 + isa_count])
        isa_count++;
    for (uint32_t missing = 0; missing < 1U << isa_count; missing += 2)
        for (enum precision p = 0; p < PRECISION_COUNT; p++)
            for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
                struct kernel_isas isas = {.top = isa_count - 1, .mask = ~missing};
                const struct conv_kernel *best = NULL;
                for (size_t i = 0; i < count; i++)
                    if (list[i]->precision == p && list[i]->supports(&shapes[s]) &&
                        !(missing >> isa_of(list[i]->isa) & 1))
                        best = list[i];
                ck_assert_ptr_eq(kernel_conv(isas, p, &shapes[s]), best);
            }
}
END_TEST

START_TEST(an_unknown_isa_is_refused)
{
    struct kernel_isas isas;
    ck_assert(!kernel_isas_select("mmx", &isas));
    ck_assert(!kernel_isas_select("", &isas));
}
END_TEST

START_TEST(every_kernel_is_complete_and_well_named)
{
    size_t count;
    const struct conv_kernel *const *list = kernel_conv_list(&count);
    for (size_t i = 0; i < count; i++) {
        const struct conv_kernel *k = list[i];
        ck_assert(k->supports && k->method && k->method->packed_size && k->method->pack &&
                  k->method->tile_count && k->method->scratch_size && k->method->run);
        const char *suffix = strstr(k->name, "__");
        ck_assert_ptr_nonnull(suffix);
        ck_assert_str_eq(suffix + 2, k->isa);
        const char *precision = precision_name(k->precision);
        ck_assert_int_eq(strncmp(k->name, precision, strlen(precision)), 0);
        ck_assert_int_eq(k->name[strlen(precision)], '_');
        ck_assert_int_ge(isa_of(k->isa), i ? isa_of(list[i - 1]->isa) : 0);
        struct kernel_isas isas;
        ck_assert_int_eq(kernel_isas_select(k->isa, &isas), kernel_runs_here(k));
    }
}
END_TEST

START_TEST(a_kernel_says_what_it_runs_on)
{
    size_t count;
    const struct conv_kernel *const *list = kernel_conv_list(&count);
    for (size_t i = 0; i < count; i++) {
        const char *on = kernel_runs_on(list[i]);
        if (strstr(list[i]->name, "openblas"))
            ck_assert_int_eq(strncmp(on, "OpenBLAS ", strlen("OpenBLAS ")), 0);
        else
            ck_assert_str_eq(on, list[i]->isa);
    }
}
END_TEST

TEST_MAIN("kernel/table", 10, auto_is_the_highest_isa, a_lower_isa_lowers_the_choice,
          a_missing_isa_is_passed_over, an_unknown_isa_is_refused,
          every_kernel_is_complete_and_well_named, a_kernel_says_what_it_runs_on)
