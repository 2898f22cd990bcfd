#include "nn/summary.h"
#include "tests/suite.h"

static const char *library(void)
{
    return "Library Core";
}

static const struct conv_method plain = {0}, borrowed = {.library = library};
static const struct conv_kernel wide = {.isa = "avx512", .method = &plain};
static const struct conv_kernel wider = {.isa = "avx512_vnni", .method = &plain};
static const struct conv_kernel elsewhere = {.isa = "avx2", .method = &borrowed};
static const struct conv_shape dense = {.groups = 1}, grouped = {.groups = 32};

static void expect(const struct network_summary *summary, const char *text)
{
    char made[NETWORK_SUMMARY_TEXT];
    network_summary_text(summary, made);
    ck_assert_str_eq(made, text);
}

START_TEST(dense_and_grouped_are_told_apart)
{
    struct network_summary s = {0};
    network_summary_add(&s, &wide, &dense);
    expect(&s, "dense avx512");
    network_summary_add(&s, &elsewhere, &grouped);
    expect(&s, "dense avx512, grouped Library Core");
    ck_assert_str_eq(s.dense, "avx512");
    ck_assert_str_eq(s.grouped, "Library Core");
}
END_TEST

START_TEST(each_name_stands_once)
{
    struct network_summary s = {0};
    const struct conv_kernel *const order[] = {&wider, &wide,  &elsewhere,
                                               &wide,  &wider, &elsewhere};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        network_summary_add(&s, order[i], &dense);
    expect(&s, "dense avx512_vnni+avx512+Library Core");
}
END_TEST

TEST_MAIN("nn/summary", 10, dense_and_grouped_are_told_apart, each_name_stands_once)
