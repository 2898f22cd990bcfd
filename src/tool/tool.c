#include "tool/tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tool/output.h"

void tool_message(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    fputs("resnext: ", stderr);
    output_plain(stderr, length < 0 ? "no memory for a message" : text);
    fputc('\n', stderr);
    if (length >= 0)
        free(text);
}

bool tool_is_folder(const char *operand)
{
    struct stat st;
    return strchr(operand, '/') || stat(operand, &st) == 0;
}

int tool_isas(unsigned isa, struct kernel_isas *isas)
{
    if (kernel_isas_select(kernel_isa_choices[isa], isas))
        return TOOL_OK;
    char here[KERNEL_ISAS_TEXT];
    kernel_isas_here(here);
    tool_message("--isa %s: this machine lacks it; it has %s; use one of these, or auto",
                 kernel_isa_choices[isa], here);
    return TOOL_USAGE;
}

int tool_open_model(struct model **out, const char *path, unsigned isa, enum precision precision)
{
    struct model_options options = {.precision = precision};
    int status = tool_isas(isa, &options.isas);
    if (status != TOOL_OK)
        return status;
    struct error err;
    if (model_load(out, path, &options, &err) == ERR_OK)
        return TOOL_OK;
    tool_message("%s", err.message);
    return TOOL_FAILED;
}
