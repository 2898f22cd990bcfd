/* What the commands of `resnext` share: their table entry, the options that several have, the model
 * and the files that they work on, exit codes and messages. One thread. */
#ifndef RESNEXT_TOOL_TOOL_H
#define RESNEXT_TOOL_TOOL_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "model/model.h"
#include "tool/engine.h"
#include "tool/progress.h"

struct option_row;

enum {
    TOOL_OK = 0,
    TOOL_FAILED = 1, /* a file, a model or the output failed */
    TOOL_USAGE = 2,
};

/* Options that several commands have: bits of a set, in the order of --help, where a command's own
 * options follow --json. */
enum {
    OPTION_JSON = 1,
    OPTION_THREADS = 2,
    OPTION_ISA = 4,
    OPTION_PRECISION = 8,
    OPTION_PICTURES = 16,
};

/* One run of a command. */
struct tool {
    char **operands; /* with NULL behind the last */
    bool json;
    unsigned isa; /* an index of kernel_isa_choices */
    enum precision precision;
    struct engine_options engine; /* threads and pictures are options */
    struct kernel_isas isas;      /* those that `isa` means */
    struct model *model;          /* NULL before tool_open_model */
    struct file_list files;       /* what a command works on, if it wants to */
    struct progress progress;
    bool prints_failures; /* the command prints files that fail among its results */
    size_t failed;        /* files; the exit code is then 1 */
};

/* One command. Its own options are static variables: it runs once. */
struct command {
    const char *name;
    const char *operands; /* as --help shows them */
    const char *summary;  /* one line */
    const char *details;  /* more for the command's own --help; "" if there is no more */
    int min, max;         /* operands */
    unsigned shared;      /* options it has of those above */
    const struct option_row *options; /* [option_count] its own */
    size_t option_count;
    /* Whether options and operands go together: a failure is wrong usage. NULL: always. */
    int (*check)(struct tool *tool, struct error *err);
    /* Does the work. A failure is printed, and the exit code is 1. */
    int (*run)(struct tool *tool, struct error *err);
};

extern const struct command command_info, command_classify, command_eval, command_preprocess,
    command_verify, command_init, command_bench, command_explain, command_embed, command_calibrate;

/* Runs a command, whose name is argv[0]; the exit code. */
int tool_run(const struct command *command, int argc, char **argv);

/* Text for a terminal: control characters and invalid UTF-8 become '?'. */
void tool_plain(FILE *f, const char *text);

/* One line "resnext: ..." on standard error; control characters become '?'. */
void tool_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether an operand means a folder: whatever exists or has a slash. Anything else is the name of a
 * template. */
bool tool_is_folder(const char *operand);

/* Adds the operands behind the first to tool->files, and loads the model folder that the first is
 * to tool->model, on the ISAs and in the precision asked for. The errors of files_add, model_load.
 */
int tool_open(struct tool *tool, struct error *err);

/* Only the model. */
int tool_open_model(struct tool *tool, struct error *err);

/* engine_run of tool->model and tool->engine over `files`. Counts the files that fail and prints
 * why (unless the command does) before `sink`, which may be NULL, takes them. Shows a progress bar,
 * which is one for several runs if the command has started it. */
int tool_run_files(struct tool *tool, const struct file_list *files, engine_sink *sink,
                   void *context, struct error *err);

/* Makes way for a result on standard output, if the progress bar is on the same screen. */
void tool_begin_result(struct tool *tool);

#endif
