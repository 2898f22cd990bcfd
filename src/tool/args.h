/* Options of a command, declared once: parser and --help use the same rows. */
#ifndef RESNEXT_TOOL_ARGS_H
#define RESNEXT_TOOL_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tool/tool.h"

/* One option. Exactly one of `flag`, `integer`, `text` and `choice` is set: where the value goes.
 * Its value before parsing is the default, which --help shows unless it is out of range, false or
 * NULL. */
struct option_row {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    const char *help;
    bool *flag;
    int64_t *integer;
    int64_t min, max; /* of `integer`; min >= 0 */
    const char **text;
    unsigned *choice;         /* or an enum without negative values */
    const char *const *names; /* of the values of `choice`, NULL-terminated */
    const char *argument;     /* what --help calls the value */
};

/* One row of each kind. The value is stored in `variable`. */
#define FLAG(long_name, variable, explanation)                                                     \
    {                                                                                              \
        .name = long_name, .flag = &(variable), .help = explanation                                \
    }
#define INTEGER(long_name, short_name, variable, smallest, largest, explanation)                   \
    {                                                                                              \
        .name = long_name, .letter = short_name, .integer = &(variable), .min = smallest,          \
        .max = largest, .argument = "N", .help = explanation                                       \
    }
#define TEXT(long_name, short_name, variable, value, explanation)                                  \
    {                                                                                              \
        .name = long_name, .letter = short_name, .text = &(variable), .argument = value,           \
        .help = explanation                                                                        \
    }
#define CHOICE(long_name, variable, words, value, explanation)                                     \
    {                                                                                              \
        .name = long_name, .choice = &(variable), .names = words, .argument = value,               \
        .help = explanation                                                                        \
    }

/* The rows of a command's own options. The last has no name. */
#define OPTIONS(...) ((const struct option_row[]){__VA_ARGS__, {0}})

/* The maximum number of rows for args_parse. */
enum { ARGS_MAX_ROWS = 16 };

/* Parses a command's argv. Options may stand before, between and after operands. The operands are
 * moved to argv[*first .. argc-1]. If false, the caller returns *status at once: TOOL_OK after
 * --help, TOOL_USAGE after a message. */
bool args_parse(const struct command *command, const struct option_row *rows, size_t count,
                int argc, char **argv, int *first, int *status);

#endif
