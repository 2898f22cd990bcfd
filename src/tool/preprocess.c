#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool/args.h"
#include "tool/output.h"

static const char *out;

static int check(struct tool *tool, struct error *err)
{
    (void)tool;
    if (!out && isatty(STDOUT_FILENO))
        return error_set(err, ERR_PARAMETER,
                         "refusing to write a picture to a terminal; use -o OUT");
    return ERR_OK;
}

static int write_pixels(const struct session *session, struct error *err)
{
    int size = session->model->preprocess.size;
    char head[48];
    snprintf(head, sizeof head, "P6\n%d %d\n255\n", size, size);
    return output_bytes(out, head, session->rgb, (size_t)size * (size_t)size * 3, err);
}

static int run(struct tool *tool, struct error *err)
{
    struct session *session = NULL;
    struct file_bytes file = {0};
    int code = tool_open_picture(tool, &session, &file, err);
    if (code == ERR_OK)
        code = write_pixels(session, err);
    sessions_destroy(session, 1);
    free(file.data);
    return code;
}

const struct command command_preprocess = {
    .name = "preprocess",
    .operands = "MODEL FILE",
    .summary = "Write the cropped RGB pixels that the network would see, as PPM",
    .details = "FILE is a JPEG, - for standard input.",
    .shared = OPTION_PICTURES,
    .options =
        OPTIONS(TEXT("output", 'o', out, "OUT", "write this file instead of standard output")),
    .check = check,
    .run = run,
};
