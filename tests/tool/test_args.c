#include "tool/args.h"

#include <string.h>

#include "tests/suite.h"

static struct command command = {
    .name = "try", .operands = "A...", .summary = "A trial", .details = ""};

static struct {
    bool flag;
    int64_t number;
    unsigned word;
    const char *file;
} got;

/* Parses the words. Returns the exit code, or -1 to go on. */
static int parse(char **words, int *first)
{
    static const char *const words_known[] = {"auto", "slow", "fast", NULL};
    got.flag = false;
    got.number = 5;
    got.word = 0;
    got.file = NULL;
    const struct option_row rows[] = {
        {.name = "flag", .flag = &got.flag, .help = "a flag"},
        {.name = "number", .letter = 'n', .integer = &got.number, .min = 1, .max = 9},
        {.name = "word", .choice = &got.word, .names = words_known},
        {.name = "output", .letter = 'o', .text = &got.file},
    };
    int argc = 0, status;
    while (words[argc])
        argc++;
    return args_parse(&command, rows, 4, argc, words, first, &status) ? -1 : status;
}

#define PARSE(first, ...) parse((char *[]){"try", __VA_ARGS__, NULL}, first)

START_TEST(defaults_stay)
{
    int first;
    ck_assert_int_eq(PARSE(&first, "a"), -1);
    ck_assert(!got.flag && got.number == 5 && !got.file);
    ck_assert_uint_eq(got.word, 0);
    ck_assert_int_eq(first, 1);
}
END_TEST

START_TEST(options_and_operands_mix)
{
    int first;
    char *words[] = {"try", "a", "-n3", "--flag", "b", "--word=fast", "-o", "x", NULL};
    ck_assert_int_eq(parse(words, &first), -1);
    ck_assert(got.flag && got.number == 3);
    ck_assert_uint_eq(got.word, 2);
    ck_assert_str_eq(got.file, "x");
    ck_assert_str_eq(words[first], "a");
    ck_assert_str_eq(words[first + 1], "b");
}
END_TEST

START_TEST(the_last_value_counts_and_a_dash_is_an_operand)
{
    int first;
    char *words[] = {"try", "--number", "2", "-n", "9", "-", "--", "-n", NULL};
    ck_assert_int_eq(parse(words, &first), -1);
    ck_assert_int_eq(got.number, 9);
    ck_assert_str_eq(words[first], "-");
    ck_assert_str_eq(words[first + 1], "-n");
}
END_TEST

START_TEST(numbers_are_whole_and_in_range)
{
    int first;
    static char *const bad[] = {"0",
                                "10",
                                "-1",
                                "+1",
                                " 1",
                                "1 ",
                                "",
                                "1x",
                                "x",
                                "1.",
                                "1e0",
                                "0x1",
                                "9223372036854775808"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(PARSE(&first, "a", "--number", bad[i]) == TOOL_USAGE, "%s", bad[i]);
    ck_assert_int_eq(got.number, 5);
}
END_TEST

START_TEST(operands_are_as_many_as_the_help_shows)
{
    int first;
    command.operands = "A B";
    ck_assert_int_eq(PARSE(&first, "a"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "--flag", "b"), -1);
    ck_assert_int_eq(PARSE(&first, "a", "b", "c"), TOOL_USAGE);
    command.operands = "A B...";
    ck_assert_int_eq(PARSE(&first, "a"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "b"), -1);
    ck_assert_int_eq(PARSE(&first, "a", "b", "c"), -1);
    command.operands = "A...";
}
END_TEST

START_TEST(wrong_usage)
{
    int first;
    ck_assert_int_eq(PARSE(&first, "--flag"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "--word", "medium"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "--word"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "-n"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "-x"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "-xn", "3"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "--no-such"), TOOL_USAGE);
    ck_assert_int_eq(PARSE(&first, "a", "--flag=1"), TOOL_USAGE);
}
END_TEST

START_TEST(the_default_of_a_choice_can_be_given)
{
    int first;
    ck_assert_int_eq(PARSE(&first, "a", "--word", "auto"), -1);
    ck_assert_uint_eq(got.word, 0);
}
END_TEST

TEST_MAIN("tool/args", 10, defaults_stay, options_and_operands_mix,
          the_last_value_counts_and_a_dash_is_an_operand, numbers_are_whole_and_in_range,
          operands_are_as_many_as_the_help_shows, wrong_usage, the_default_of_a_choice_can_be_given)
