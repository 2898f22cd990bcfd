#include "image/preprocess.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool/args.h"
#include "tool/output.h"

/* The pixels of one file, RGB [size][size][3]; *rgb belongs to the caller. */
static int read_pixels(const struct preprocess_spec *spec, const struct picture_options *pictures,
                       const char *path, uint8_t **rgb, struct error *err)
{
    const struct preprocess_options options = picture_preprocess_options(pictures);
    size_t size = (size_t)spec->size;
    struct file_bytes bytes = {0};
    struct preprocessor *p = NULL;
    struct preprocess_report report;
    *rgb = malloc(size * size * 3); /* size is at most 4096 */
    int code = *rgb ? files_read(path, (size_t)pictures->max_bytes, &bytes, err)
                    : error_set(err, ERR_NO_MEMORY, "no memory for a picture");
    if (code == ERR_OK)
        code = preprocessor_create(&p, err);
    if (code == ERR_OK)
        code = preprocessor_run(p, spec, &options, bytes.data, bytes.length, *rgb, &report, err);
    preprocessor_destroy(p);
    free(bytes.data);
    return code;
}

static const char *out;

static int check(struct tool *tool, struct error *err)
{
    (void)tool;
    if (!out && isatty(STDOUT_FILENO))
        return error_set(err, ERR_PARAMETER, "a picture on the terminal is of no use: give -o OUT");
    return ERR_OK;
}

static int run(struct tool *tool, struct error *err)
{
    uint8_t *rgb = NULL;
    int code = tool_open_model(tool, err);
    if (code != ERR_OK)
        return code;
    const struct preprocess_spec *spec = &tool->model->preprocess;
    size_t bytes = (size_t)spec->size * (size_t)spec->size * 3;
    char head[48];
    snprintf(head, sizeof head, "P6\n%d %d\n255\n", spec->size, spec->size);
    code = read_pixels(spec, &tool->engine.pictures, tool->operands[1], &rgb, err);
    code = code == ERR_OK ? output_bytes(out, head, rgb, bytes, err)
                          : error_prefix(err, code, "%s", tool->operands[1]);
    free(rgb);
    return code;
}

static const struct option_row options[] = {
    TEXT("output", 'o', out, "OUT", "write this file instead of standard output"),
};

const struct command command_preprocess = {
    .name = "preprocess",
    .operands = "MODEL FILE",
    .summary = "Write the cropped RGB pixels that the network would see, as PPM",
    .details = "FILE is a JPEG, - for standard input.",
    .min = 2,
    .max = 2,
    .shared = OPTION_PICTURES,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .check = check,
    .run = run,
};
