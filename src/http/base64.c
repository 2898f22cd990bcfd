#include "http/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/number.h"

/* A walk along the string. */
struct decoder {
    char *at, *end;
    struct error *err;
};

enum { STRING_END = -1, NO_CHARACTER = -2 };

static int wrong(const struct decoder *d, const char *what)
{
    return error_set(d->err, ERR_BAD_REQUEST, "%s", what);
}

/* What the escape at d->at stands for. */
static int take_escape(struct decoder *d)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (d->end - d->at < 2)
        return NO_CHARACTER;
    const char *letter = d->at[1] ? strchr(letters, d->at[1]) : NULL;
    if (letter) {
        d->at += 2;
        return meanings[letter - letters];
    }
    if (d->end - d->at < 6 || memcmp(d->at, "\\u00", 4) != 0)
        return NO_CHARACTER;
    unsigned char c;
    if (!hex_parse(d->at + 4, &c, 1))
        return NO_CHARACTER;
    d->at += 6;
    return c;
}

/* The next character of a string. */
static int take_character(struct decoder *d)
{
    if (d->at == d->end || *d->at == '"')
        return STRING_END;
    if (*d->at == '\\')
        return take_escape(d);
    unsigned char c = (unsigned char)*d->at++;
    return c < ' ' ? NO_CHARACTER : c;
}

/* Of both alphabets of RFC 4648. */
static int sextet(int c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

static int wrong_character(const struct decoder *d, int c)
{
    if (c == ' ')
        return wrong(d, "the base64 contains a space; if a form turned a + into it, send JSON "
                        "instead of a form");
    if (c == ':')
        return wrong(d, "the base64 contains a colon; send the JPEG itself instead of its "
                        "address, and of a data: URL what follows the comma");
    if (c > ' ' && c < 0x7f)
        return error_set(d->err, ERR_BAD_REQUEST,
                         "the base64 contains the character %c; encode the JPEG again", c);
    return wrong(d, "the base64 contains a character that is not in its alphabet; between its "
                    "letters only the line breaks \\n and \\r\\n are allowed");
}

/* The first `count` - 1 bytes of `count` sextets. */
static char *put(char *to, uint32_t bits, int count)
{
    bits <<= 6 * (4 - count);
    for (int i = 0; i < count - 1; i++)
        *to++ = (char)(bits >> (16 - 8 * i) & 0xff);
    return to;
}

int base64_decode(char **at, char *end, size_t *length, struct error *err)
{
    struct decoder decoder = {*at, end, err}, *d = &decoder;
    char *to = *at;
    uint32_t bits = 0;
    int count = 0, padding = 0, c;
    while ((c = take_character(d)) != STRING_END) {
        if (c == '\n' || c == '\r')
            continue;
        int value = sextet(c);
        if (value < 0 && c != '=')
            return wrong_character(d, c);
        if (padding > 0 && value >= 0)
            return wrong(
                d, "the base64 continues after the = that ends it; send a string for each image");
        padding += c == '=' && padding < 4;
        if (value < 0)
            continue;
        bits = bits << 6 | (uint32_t)value;
        if (++count == 4) {
            to = put(to, bits, 4);
            bits = 0;
            count = 0;
        }
    }
    if (count == 1 || padding > 2 || (padding > 0 && count + padding != 4))
        return wrong(
            d, "the base64 has an impossible length, so it may have been cut off; send all of it");
    to = put(to, bits, count);
    *length = (size_t)(to - *at);
    *at = d->at;
    return ERR_OK;
}
