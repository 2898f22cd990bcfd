#include "image/preprocess.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool/args.h"
#include "tool/files.h"
#include "tool/output.h"
#include "tool/pictures.h"
#include "tool/tool.h"

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

/* To the file `path`, or to standard output. */
static int write_ppm(const char *path, const uint8_t *rgb, int size)
{
    char head[48];
    size_t bytes = (size_t)size * (size_t)size * 3;
    snprintf(head, sizeof head, "P6\n%d %d\n255\n", size, size);
    return output_bytes(path, head, rgb, bytes);
}

static int preprocess_run(int argc, char **argv)
{
    const char *out = NULL;
    struct picture_options pictures = PICTURE_DEFAULTS;
    const struct option_row rows[] = {
        {.name = "output",
         .letter = 'o',
         .text = &out,
         .argument = "OUT",
         .help = "write this file instead of standard output"},
        OPTIONS_PICTURES(pictures),
    };
    int first, status;
    if (!args_parse(&command_preprocess, rows, sizeof rows / sizeof rows[0], argc, argv, &first,
                    &status))
        return status;
    if (!out && isatty(STDOUT_FILENO)) {
        tool_message("preprocess: a picture on the terminal is of no use: give -o OUT");
        return TOOL_USAGE;
    }
    struct model *model;
    status = tool_open_model(&model, argv[first], 0, PRECISION_F32);
    if (status != TOOL_OK)
        return status;
    uint8_t *rgb;
    struct error err;
    const char *path = argv[first + 1];
    if (read_pixels(&model->preprocess, &pictures, path, &rgb, &err) != ERR_OK) {
        tool_message("%s: %s", path, err.message);
        status = TOOL_FAILED;
    } else {
        status = write_ppm(out, rgb, model->preprocess.size);
    }
    free(rgb);
    model_destroy(model);
    return status;
}

const struct command command_preprocess = {
    .name = "preprocess",
    .operands = "MODEL FILE",
    .summary = "Write the cropped RGB pixels that the network would see, as PPM",
    .details = "FILE is a JPEG, - for standard input.",
    .min = 2,
    .max = 2,
    .run = preprocess_run,
};
