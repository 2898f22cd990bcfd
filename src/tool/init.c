#include "model/init.h"

#include <stdio.h>

#include "tool/args.h"

static int64_t seed, classes, input_size;

static int run(struct tool *tool, struct error *err)
{
    struct template t;
    char name[TEMPLATE_NAME_MAX];
    int code = template_from_name(tool->operands[0], &t, err);
    if (code != ERR_OK)
        return code;
    t.classes = classes ? (int)classes : t.classes;
    t.input_size = input_size ? (int)input_size : t.input_size;
    code = model_init_folder(&t, (uint64_t)seed, tool->operands[1], err);
    if (code != ERR_OK)
        return code;
    template_name(&t, name);
    tool_plain(stdout, tool->operands[1]);
    printf(": %s, %d classes, input %dx%d, random weights from seed %lld\n", name, t.classes,
           t.input_size, t.input_size, (long long)seed);
    return ERR_OK;
}

const struct command command_init = {
    .name = "init",
    .operands = "TEMPLATE OUT",
    .summary = "Write a randomly initialised model folder",
    .details = "OUT is the folder to make.\n" TEMPLATE_GRAMMAR_HELP,
    .options = OPTIONS(
        INTEGER("seed", 0, seed, 0, INT64_MAX - 1,
                "start of the random numbers; the same seed gives the same weights"),
        INTEGER("classes", 0, classes, 1, 1000000, "number of classes, instead of the template's"),
        INTEGER("input-size", 0, input_size, 1, 4096,
                "edge of the input in pixels, instead of the template's")),
    .run = run,
};
