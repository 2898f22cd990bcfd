/* Options of a command, declared once: the parser and --help are made from the same rows. */
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
    const char *const *names; /* of what `choice` may be, NULL-terminated */
    const char *argument;     /* what --help calls the value */
};

/* Rows that several commands have. */
#define OPTION_ISA(variable)                                                                       \
    {                                                                                              \
        .name = "isa", .choice = &(variable), .names = kernel_isa_choices, .argument = "RUNG",     \
        .help = "kernels to compute with; ref, plain loops, is slow and there to compare"          \
    }
#define OPTION_PRECISION(variable)                                                                 \
    {                                                                                              \
        .name = "precision", .choice = &(variable), .names = precision_names, .argument = "NAME",  \
        .help = "arithmetic; int8 is the fastest and needs the model's calibration.json"           \
    }
#define OPTION_JSON(variable)                                                                      \
    {                                                                                              \
        .name = "json", .flag = &(variable), .help = "print one JSON object a line"                \
    }
#define OPTION_THREADS(variable)                                                                   \
    {                                                                                              \
        .name = "threads", .letter = 't', .integer = &(variable), .min = 1, .max = 1024,           \
        .argument = "N", .help = "pictures worked on at a time"                                    \
    }

/* Parses a command's argv: options may stand before, between and after operands, which are moved to
 * argv[*first .. argc-1]. True to go on; false to return *status at once: TOOL_OK after --help,
 * TOOL_USAGE after a message. */
bool args_parse(const struct command *command, const struct option_row *rows, size_t count,
                int argc, char **argv, int *first, int *status);

#endif
