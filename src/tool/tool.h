/* What the commands of `resnext` share: table entries, options, the model, the files, exit codes
 * and messages. One thread. */
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

/* Options that several commands share, as bits of a set. --help lists them in this order, with a
 * command's own options after --json. */
enum {
    OPTION_JSON = 1,
    OPTION_THREADS = 2,
    OPTION_ISA = 4,
    OPTION_PRECISION = 8,
    OPTION_PICTURES = 16,
};

/* One run of a command. */
struct tool {
    char **operands; /* NULL-terminated */
    bool json;
    unsigned isa; /* an index of kernel_isa_choices */
    struct model_options load;
    struct engine_options engine; /* options set its threads and pictures */
    struct model *model;          /* NULL before tool_open_model */
    struct file_list files;       /* filled by tool_open */
    struct progress progress;
    bool prints_failures; /* the command prints failed files itself, among its results */
    size_t failed;        /* number of failed files; if not 0, the exit code is 1 */
};

/* One command. Its own options are static variables: it runs once. */
struct command {
    const char *name;
    const char *operands; /* words, as --help shows them; "..." if the last may be several */
    const char *summary;  /* one line */
    const char *details;  /* a longer text for the command's own --help */
    unsigned shared;      /* OPTION_ bits of its shared options */
    const struct option_row *options; /* its own, see OPTIONS; NULL: none */
    /* Checks that options and operands go together. A failure is wrong usage. NULL: no check. */
    int (*check)(struct tool *tool, struct error *err);
    /* Does the work. A failure is printed, and the exit code is 1. */
    int (*run)(struct tool *tool, struct error *err);
};

extern const struct command command_info, command_classify, command_eval, command_preprocess,
    command_verify, command_init, command_import, command_bench, command_explain, command_embed,
    command_calibrate;

/* Runs a command. argv[0] is its name. Returns the exit code. */
int tool_run(const struct command *command, int argc, char **argv);

/* Prints text for a terminal: control characters and invalid UTF-8 become '?'. */
void tool_plain(FILE *f, const char *text);

/* Prints a line "resnext: ..." on standard error. Control characters become '?'. */
void tool_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether an operand names a folder: it exists or has a slash. Otherwise it names a template. */
bool tool_is_folder(const char *operand);

/* Like template_from_name. Error messages also say that `operand` is no folder. */
int tool_find_template(const char *operand, struct template *out, struct error *err);

/* Adds all operands but the first to tool->files, then calls tool_open_model. The errors of
 * files_add and model_load. */
int tool_open(struct tool *tool, struct error *err);

/* Loads the model folder named by the first operand into tool->model. The errors of model_load. */
int tool_open_model(struct tool *tool, struct error *err);

/* Loads the model, creates a session and decodes the file named by the second operand, whose bytes
 * stay in `file`. `*session` starts as NULL, `file` zeroed; both belong to the caller, even after a
 * failure. The errors of model_load, sessions_create and picture_decode. */
int tool_open_picture(struct tool *tool, struct session **session, struct file_bytes *file,
                      struct error *err);

/* Calls engine_run with tool->model and tool->engine. Counts the files that fail and, unless
 * prints_failures is set, prints why, before `sink` is called. `sink` may be NULL. Shows a progress
 * bar. A command that runs several times may start one bar for all runs. */
int tool_run_files(struct tool *tool, const struct file_list *files, engine_sink *sink,
                   void *context, struct error *err);

/* Clears the progress bar if standard output is a terminal. Call it before printing a result. */
void tool_begin_result(struct tool *tool);

#endif
