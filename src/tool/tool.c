#include "tool/tool.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/utf8.h"

void tool_plain(FILE *f, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        if (n == 0 || utf8_is_control(s))
            fputc('?', f);
        else
            fwrite(s, 1, n, f);
        s += n ? n : 1;
    }
}

void tool_message(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    fputs("resnext: ", stderr);
    tool_plain(stderr, length < 0 ? "no memory for a message" : text);
    fputc('\n', stderr);
    if (length >= 0)
        free(text);
}

bool tool_is_folder(const char *operand)
{
    struct stat st;
    return strchr(operand, '/') || stat(operand, &st) == 0;
}

int tool_isas(const char *isa, struct kernel_isas *isas)
{
    if (kernel_isas_select(isa, isas))
        return TOOL_OK;
    char here[KERNEL_ISAS_TEXT];
    kernel_isas_here(here);
    tool_message("--isa %s: this machine lacks it; it has %s; use one of these, or auto", isa,
                 here);
    return TOOL_USAGE;
}

int tool_open_model(struct model **out, const char *path, const char *isa, const char *precision)
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
