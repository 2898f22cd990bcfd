#include "model/init.h"

#include <stdio.h>

#include "tool/args.h"
#include "tool/output.h"
#include "tool/tool.h"

static int init(struct template *t, int64_t seed, const char *out, struct error *err)
{
    int code = model_init_folder(t, (uint64_t)seed, out, err);
    if (code != ERR_OK)
        return code;
    char name[TEMPLATE_NAME_MAX];
    template_name(t, name);
    tool_plain(stdout, out);
    printf(": %s, %d classes, input %dx%d, random weights from seed %lld\n", name, t->classes,
           t->input_size, t->input_size, (long long)seed);
    return ERR_OK;
}

static int init_run(int argc, char **argv)
{
    enum { MAX_CLASSES = 1000000, MAX_INPUT_SIZE = 4096 };
    int64_t seed = 0, classes = 0, input_size = 0;
    const struct option_row rows[] = {
        {.name = "seed",
         .integer = &seed,
         .max = INT64_MAX,
         .argument = "N",
         .help = "start of the random numbers; the same seed gives the same weights"},
        {.name = "classes",
         .integer = &classes,
         .min = 1,
         .max = MAX_CLASSES,
         .argument = "N",
         .help = "number of classes, instead of the template's"},
        {.name = "input-size",
         .integer = &input_size,
         .min = 1,
         .max = MAX_INPUT_SIZE,
         .argument = "N",
         .help = "edge of the input in pixels, instead of the template's"},
    };
    int first, status;
    if (!args_parse(&command_init, rows, sizeof rows / sizeof rows[0], argc, argv, &first, &status))
        return status;
    struct template t;
    struct error err;
    int code = template_from_name(argv[first], &t, &err);
    if (code == ERR_OK) {
        t.classes = classes ? (int)classes : t.classes;
        t.input_size = input_size ? (int)input_size : t.input_size;
        code = init(&t, seed, argv[first + 1], &err);
    }
    if (code != ERR_OK)
        tool_message("%s", err.message);
    return code == ERR_OK ? TOOL_OK : TOOL_FAILED;
}

const struct command command_init = {
    .name = "init",
    .operands = "TEMPLATE OUT",
    .summary = "Write a randomly initialised model folder",
    .details = "OUT is the folder to make.\n" TEMPLATE_GRAMMAR_HELP,
    .min = 2,
    .max = 2,
    .run = init_run,
};
