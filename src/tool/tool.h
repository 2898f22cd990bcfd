/* What the commands of `resnext` share: their table entry, exit codes, messages. */
#ifndef RESNEXT_TOOL_TOOL_H
#define RESNEXT_TOOL_TOOL_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "model/model.h"

enum {
    TOOL_OK = 0,
    TOOL_FAILED = 1, /* a file, a model or the output failed */
    TOOL_USAGE = 2,
};

/* One command. `run` gets the command's name as argv[0] and returns an exit code. */
struct command {
    const char *name;
    const char *operands; /* as --help shows them */
    const char *summary;  /* one line */
    const char *details;  /* more for the command's own --help; "" if there is no more */
    int min, max;         /* operands */
    int (*run)(int argc, char **argv);
};

extern const struct command command_info, command_classify, command_eval, command_preprocess,
    command_verify, command_init, command_bench, command_explain, command_embed, command_calibrate;

/* Text for a terminal: control characters and invalid UTF-8 become '?'. */
void tool_plain(FILE *f, const char *text);

/* One line "resnext: ..." on standard error; control characters become '?'. */
void tool_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether an operand means a folder: whatever exists or has a slash. Anything else is the name of a
 * template. */
bool tool_is_folder(const char *operand);

/* The ISAs that --isa asks for. TOOL_USAGE, with a message, if the machine lacks it. */
int tool_isas(const char *isa, struct kernel_isas *isas);

/* Loads a model folder on those ISAs, in that precision. TOOL_USAGE or TOOL_FAILED, with a
 * message.
 */
int tool_open_model(struct model **out, const char *path, const char *isa, const char *precision);

#endif
