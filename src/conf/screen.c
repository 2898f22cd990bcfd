#include "conf/screen.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The text that is left, and the copy so far. */
struct scan {
    const char *name;
    const char *at;
    const char *end;
    char *out;
    int line;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static bool in_name(char c)
{
    return begins_name(c) || is_digit(c) || c == '_' || c == '-';
}

static bool in_real(char c)
{
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

/* The next byte, or '\0' at the end; the text itself holds no NUL. */
static char peek(const struct scan *scan, ptrdiff_t ahead)
{
    return ahead < scan->end - scan->at ? scan->at[ahead] : '\0';
}

static void copy(struct scan *scan)
{
    scan->line += *scan->at == '\n';
    *scan->out++ = *scan->at++;
}

static void copy_while(struct scan *scan, bool (*belongs)(char))
{
    while (belongs(peek(scan, 0)))
        copy(scan);
}

static int copy_string(struct scan *scan, struct error *err)
{
    int first_line = scan->line;
    copy(scan);
    while (peek(scan, 0) != '"') {
        if (peek(scan, 0) == '\\')
            copy(scan);
        if (scan->at == scan->end)
            return error_set(err, ERR_CONFIG, "%s:%d: the string that starts here has no end",
                             scan->name, first_line);
        copy(scan);
    }
    copy(scan);
    return ERR_OK;
}

static int copy_block_comment(struct scan *scan, struct error *err)
{
    int first_line = scan->line;
    copy(scan);
    copy(scan);
    while (!(peek(scan, 0) == '*' && peek(scan, 1) == '/')) {
        if (scan->at == scan->end)
            return error_set(err, ERR_CONFIG, "%s:%d: the comment that starts here has no end",
                             scan->name, first_line);
        copy(scan);
    }
    copy(scan);
    copy(scan);
    return ERR_OK;
}

/* libconfig knows no comment that ends with the file. */
static void copy_line_comment(struct scan *scan)
{
    while (scan->at < scan->end && *scan->at != '\n')
        copy(scan);
    if (scan->at == scan->end)
        *scan->out++ = '\n';
}

/* Whether what stands after digits makes them a real number. */
static bool real_goes_on(const struct scan *scan)
{
    char c = peek(scan, 0), next = peek(scan, 1);
    if (c != 'e' && c != 'E')
        return c == '.';
    return is_digit(next) || ((next == '+' || next == '-') && is_digit(peek(scan, 2)));
}

static void copy_number(struct scan *scan)
{
    if (peek(scan, 0) == '0' && (peek(scan, 1) == 'x' || peek(scan, 1) == 'X')) {
        copy(scan);
        copy(scan);
        copy_while(scan, is_hex_digit);
    } else {
        copy_while(scan, is_digit);
        if (real_goes_on(scan)) {
            copy_while(scan, in_real);
            return;
        }
    }
    if (peek(scan, 0) != 'L')
        *scan->out++ = 'L';
}

static int copy_token(struct scan *scan, struct error *err)
{
    char c = *scan->at;
    if (c == '"')
        return copy_string(scan, err);
    if (c == '/' && peek(scan, 1) == '*')
        return copy_block_comment(scan, err);
    if (c == '@')
        return error_set(err, ERR_CONFIG, "%s:%d: @include is not allowed; put everything here",
                         scan->name, scan->line);
    if (c == '#' || (c == '/' && peek(scan, 1) == '/'))
        copy_line_comment(scan);
    else if (begins_name(c))
        copy_while(scan, in_name);
    else if (is_digit(c))
        copy_number(scan);
    else if (c == '.')
        copy_while(scan, in_real);
    else
        copy(scan);
    return ERR_OK;
}

static int line_of(const char *text, const char *at)
{
    int line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

int conf_screen(const char *name, const char *text, size_t length, char **out, struct error *err)
{
    *out = NULL;
    const char *nul = length > 0 ? memchr(text, '\0', length) : NULL;
    if (nul)
        return error_set(err, ERR_CONFIG, "%s:%d: there is a NUL byte; this is no text file", name,
                         line_of(text, nul));
    /* One byte in two can be an integer that grows by an L, and one more may be a line's end. */
    char *copied = malloc(length + length / 2 + 3);
    if (!copied)
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    struct scan scan = {.name = name, .at = text, .end = text + length, .out = copied, .line = 1};
    while (scan.at < scan.end) {
        int code = copy_token(&scan, err);
        if (code != ERR_OK) {
            free(copied);
            return code;
        }
    }
    *scan.out = '\0';
    *out = copied;
    return ERR_OK;
}
