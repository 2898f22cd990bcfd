#include "tool/args.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/names.h"
#include "base/number.h"

enum { LONG_OPTION = 256 };

/* The arguments of getopt_long. It returns LONG_OPTION + row for a long option, LONG_OPTION + count
 * for --help. */
struct getopt_form {
    struct option longs[ARGS_MAX_ROWS + 2];
    char shorts[2 * ARGS_MAX_ROWS + 3];
};

static void make_getopt_form(struct getopt_form *form, const struct option_row *rows, size_t count)
{
    CHECK(count <= ARGS_MAX_ROWS);
    *form = (struct getopt_form){0};
    char *s = form->shorts;
    *s++ = ':';
    *s++ = 'h';
    for (size_t i = 0; i < count; i++) {
        bool takes_value = !rows[i].flag;
        form->longs[i] = (struct option){rows[i].name, takes_value, NULL, LONG_OPTION + (int)i};
        if (rows[i].letter)
            *s++ = rows[i].letter;
        if (rows[i].letter && takes_value)
            *s++ = ':';
    }
    form->longs[count] = (struct option){"help", no_argument, NULL, LONG_OPTION + (int)count};
}

static size_t row_of(int result, const struct option_row *rows, size_t count)
{
    if (result >= LONG_OPTION)
        return (size_t)(result - LONG_OPTION);
    for (size_t i = 0; i < count; i++)
        if (rows[i].letter == result)
            return i;
    return count;
}

__attribute__((format(printf, 2, 3))) static int usage_error(const struct command *command,
                                                             const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tool_message("%s: %s; see resnext %s --help", command->name, text, command->name);
    return TOOL_USAGE;
}

/* Reports an option that getopt_long refused. `word` is the argument of a long option. */
static int unknown_option(const struct command *command, const char *word)
{
    if (optopt >= LONG_OPTION)
        return usage_error(command, "%s: this option takes no value", word);
    if (optopt)
        return usage_error(command, "-%c is not an option", optopt);
    return usage_error(command, "%s is not an option", word);
}

static void print_choices(FILE *f, const struct option_row *row)
{
    fprintf(f, "%s", row->names[*row->choice]);
    for (unsigned i = 0; row->names[i]; i++)
        if (i != *row->choice)
            fprintf(f, ", %s", row->names[i]);
}

static int store_integer(const struct command *command, const struct option_row *row,
                         const char *value)
{
    int64_t number = number_parse(value, strlen(value));
    if (number >= row->min && number <= row->max) {
        *row->integer = number;
        return TOOL_OK;
    }
    tool_message("%s: --%s %s: a whole number from %" PRId64 " to %" PRId64 " is needed",
                 command->name, row->name, value, row->min, row->max);
    return TOOL_USAGE;
}

static int store_choice(const struct command *command, const struct option_row *row,
                        const char *value)
{
    int index = names_find(row->names, value);
    if (index >= 0) {
        *row->choice = (unsigned)index;
        return TOOL_OK;
    }
    char *list = NULL;
    size_t size;
    FILE *f = open_memstream(&list, &size);
    if (f) {
        print_choices(f, row);
        fclose(f);
    }
    tool_message("%s: --%s %s: it can be %s", command->name, row->name, value, list ? list : "");
    free(list);
    return TOOL_USAGE;
}

static int store(const struct command *command, const struct option_row *row, const char *value)
{
    if (row->integer)
        return store_integer(command, row, value);
    if (row->choice)
        return store_choice(command, row, value);
    if (row->text)
        *row->text = value;
    else
        *row->flag = true;
    return TOOL_OK;
}

static void print_row(const struct option_row *row)
{
    char left[48];
    snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument ? " " : "",
             row->argument ? row->argument : "");
    printf("  %c%c%c %-20s %s", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
           row->letter ? ',' : ' ', left, row->help);
    if (row->choice) {
        printf(": ");
        print_choices(stdout, row);
    }
    if (row->integer && *row->integer >= row->min)
        printf(" (default %" PRId64 ")", *row->integer);
    else if (row->choice)
        printf(" (default %s)", row->names[*row->choice]);
    else if (row->text && *row->text)
        printf(" (default %s)", *row->text);
    putchar('\n');
}

static int print_help(const struct command *command, const struct option_row *rows, size_t count)
{
    static const struct option_row help = {
        .name = "help", .letter = 'h', .help = "print this and exit"};
    printf("Usage: resnext %s [OPTION]... %s\n%s.\n\n", command->name, command->operands,
           command->summary);
    if (*command->details)
        printf("%s\n\n", command->details);
    puts("Options:");
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i]);
    print_row(&help);
    return TOOL_OK;
}

static int check_operands(const struct command *command, int given)
{
    int wanted = 1;
    for (const char *s = command->operands; *s; s++)
        wanted += *s == ' ';
    if (given < wanted)
        return usage_error(command, "an operand is missing: %s", command->operands);
    if (given > wanted && !strstr(command->operands, "..."))
        return usage_error(command, "too many operands: %s", command->operands);
    return TOOL_OK;
}

/* Stores the text of each option in values[row]; NULL if it is not given. If false, the caller
 * returns *status at once. */
static bool collect(const struct command *command, const struct option_row *rows, size_t count,
                    int argc, char **argv, const char *values[ARGS_MAX_ROWS], int *status)
{
    struct getopt_form form;
    make_getopt_form(&form, rows, count);
    optind = 0; /* a fresh scan */
    opterr = 0;
    for (int result; (result = getopt_long(argc, argv, form.shorts, form.longs, NULL)) != -1;) {
        size_t row = row_of(result, rows, count);
        if (result == ':')
            *status = usage_error(command, "%s needs a value", argv[optind - 1]);
        else if (result == '?')
            *status = unknown_option(command, argv[optind - 1]);
        else if (row == count)
            *status = print_help(command, rows, count);
        else
            values[row] = rows[row].flag ? "" : optarg;
        if (row == count)
            return false;
    }
    return true;
}

bool args_parse(const struct command *command, const struct option_row *rows, size_t count,
                int argc, char **argv, int *first, int *status)
{
    const char *values[ARGS_MAX_ROWS] = {0};
    if (!collect(command, rows, count, argc, argv, values, status))
        return false;
    *first = optind;
    *status = check_operands(command, argc - optind);
    for (size_t i = 0; i < count && *status == TOOL_OK; i++)
        if (values[i])
            *status = store(command, &rows[i], values[i]);
    return *status == TOOL_OK;
}
