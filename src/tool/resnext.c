/* resnext: the command line tool. Each command is in the file of its name. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "tool/output.h"
#include "tool/tool.h"

static const struct command *const commands[] = {
    &command_info,    &command_classify, &command_eval,      &command_preprocess,
    &command_explain, &command_embed,    &command_verify,    &command_init,
    &command_import,  &command_bench,    &command_calibrate,
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *f)
{
    fputs("Usage: resnext COMMAND [OPTION]... OPERAND...\n"
          "Classify pictures with ResNeXt networks.\n\n"
          "Commands:\n",
          f);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(f, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nresnext COMMAND --help says more; resnext --version prints the version.\n"
          "Exit codes: 0 all went well, 1 a file or a model failed, 2 wrong usage.\n",
          f);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TOOL_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(stdout);
        return TOOL_OK;
    }
    if (strcmp(name, "--version") == 0) {
        puts("resnext " PACKAGE_VERSION);
        return TOOL_OK;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return tool_run(commands[i], argc - 1, argv + 1);
    tool_message("%s is not a command; see resnext --help", name);
    return TOOL_USAGE;
}

int main(int argc, char **argv)
{
    descriptors_fill_standard();
    signal(SIGPIPE, SIG_IGN); /* a reader that leaves is an error like any other */
    log_configure(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
    return output_close(run(argc, argv));
}
