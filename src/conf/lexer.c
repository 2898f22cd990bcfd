#include "conf/lexer.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *name, const char *text, const char *at, const char *problem,
                  struct error *err)
{
    int line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return error_set(err, ERR_CONFIG, "%s:%d: %s", name, line, problem);
}

static char *string_end(char *s)
{
    for (s++; *s && *s != '"'; s++)
        if (*s == '\\' && s[1])
            s++;
    return *s ? s + 1 : NULL;
}

/* Any integer that is too large has the ten characters that the largest one needs. */
static char *limit_number(char *s)
{
    static const char max[] = {'2', '1', '4', '7', '4', '8', '3', '6', '4', '7'};
    bool is_hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    char *end, *real_end = s;
    unsigned long long value = strtoull(s, &end, is_hex ? 16 : 10);
    if (!is_hex)
        strtod(s, &real_end);
    if (real_end > end)
        return real_end;
    if (value > INT32_MAX && *end != 'L') {
        memset(s, ' ', (size_t)(end - s));
        memcpy(s, max, sizeof max);
    }
    return end;
}

/* Where the token at `s` ends: a string, a comment, a name, a number or one other character. NULL
 * if it has no end. */
static char *token_end(char *s)
{
    static const char in_names[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789*_-";
    if (*s == '"')
        return string_end(s);
    if (strncmp(s, "/*", 2) == 0)
        return (s = strstr(s + 2, "*/")) ? s + 2 : NULL;
    if (*s == '#' || strncmp(s, "//", 2) == 0)
        return s + strcspn(s, "\n");
    if (isdigit((unsigned char)*s))
        return limit_number(s);
    return s + (isalpha((unsigned char)*s) || *s == '*' ? strspn(s, in_names) : 1);
}

int conf_check_tokens(const char *name, char *text, size_t length, struct error *err)
{
    size_t nul = strlen(text);
    if (nul < length)
        return refuse(name, text, text + nul, "there is a NUL byte; this is no text file", err);
    for (char *s = text, *end; *s; s = end) {
        end = token_end(s);
        if (*s == '@')
            return refuse(name, text, s, "@include is not allowed; put everything here", err);
        if (!end)
            return refuse(name, text, s,
                          *s == '"' ? "the string that starts here has no end"
                                    : "the comment that starts here has no end",
                          err);
    }
    return ERR_OK;
}
