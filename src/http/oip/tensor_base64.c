#include "http/oip/tensor_base64.h"

#include <stdint.h>
#include <string.h>

#include "base/number.h"

/* A walk along the array. */
struct decoder {
    char *at, *end;
    size_t image;
    struct error *err;
};

enum { STRING_END = -1, NO_CHARACTER = -2 };

static int wrong(const struct decoder *d, const char *what)
{
    return error_set(d->err, ERR_BAD_REQUEST, "image %zu in data %s", d->image, what);
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
        return wrong(d, "has a blank, which base64 has not; a + may have become one in a form");
    if (c == ':')
        return wrong(d, "has a colon, which base64 has not; of a data: URL send what follows its "
                        "comma");
    if (c > ' ' && c < 0x7f)
        return error_set(d->err, ERR_BAD_REQUEST,
                         "image %zu in data has the character %c, which base64 has not", d->image,
                         c);
    return wrong(d, "has a character that base64 has not; between its letters only line breaks may "
                    "stand, as \\n or \\r\\n");
}

/* The first `count` - 1 bytes of `count` sextets. */
static char *put(char *to, uint32_t bits, int count)
{
    bits <<= 6 * (4 - count);
    for (int i = 0; i < count - 1; i++)
        *to++ = (char)(bits >> (16 - 8 * i) & 0xff);
    return to;
}

/* Decodes the string at d->at, which is behind its quote, in place and goes to its end. */
static int decode_text(struct decoder *d, struct tensor_json_data *out)
{
    char *to = out->bytes = d->at;
    uint32_t bits = 0;
    int count = 0, padding = 0, c;
    while ((c = take_character(d)) != STRING_END) {
        if (c == '\n' || c == '\r')
            continue;
        int value = sextet(c);
        if (value < 0 && c != '=')
            return wrong_character(d, c);
        if (padding > 0 && value >= 0)
            return wrong(d, "goes on behind the = that ends base64; send one string an image");
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
        return wrong(d, "is base64 of a length that none has; it may have been cut");
    to = put(to, bits, count);
    out->length = (size_t)(to - out->bytes);
    return ERR_OK;
}

static bool take_text(struct decoder *d, char c)
{
    return tensor_json_take(&d->at, d->end, c);
}

#define WANTED "; JSON holds a JPEG as a string of base64, or binary_data_size says that it follows"

static int no_string(const struct decoder *d)
{
    char c = d->at < d->end ? *d->at : '\0';
    return wrong(d, (c >= '0' && c <= '9') || c == '-' ? "is a number" WANTED
                    : c == '['                         ? "is an array" WANTED
                    : c == '{'                         ? "is an object" WANTED
                    : c == 'n'                         ? "is null" WANTED
                                                       : "is not a string" WANTED);
}

static int decode_element(struct decoder *d, bool nested, struct tensor_json_data *out)
{
    if (nested && !take_text(d, '['))
        return no_string(d);
    if (!take_text(d, '"'))
        return no_string(d);
    int code = decode_text(d, out);
    if (code != ERR_OK)
        return code;
    if (!take_text(d, '"') || (nested && !take_text(d, ']')))
        return wrong(d, "does not end as it should");
    return ERR_OK;
}

int tensor_base64(const struct tensor_json_data *data, size_t count, bool nested,
                  struct tensor_json_data *out, struct error *err)
{
    struct decoder d = {.at = data->bytes, .end = data->bytes + data->length, .err = err};
    if (!take_text(&d, '['))
        return error_set(err, ERR_BAD_REQUEST, "data is not an array");
    d.at = tensor_json_skip_space(d.at, d.end);
    nested = nested && d.at < d.end && *d.at == '[';
    for (; d.image < count; d.image++) {
        d.at = tensor_json_skip_space(d.at, d.end);
        if ((d.at < d.end && *d.at == ']') || (d.image > 0 && !take_text(&d, ',')))
            return error_set(err, ERR_BAD_REQUEST, "data has %zu images, but its shape says %zu",
                             d.image, count);
        d.at = tensor_json_skip_space(d.at, d.end);
        int code = decode_element(&d, nested, &out[d.image]);
        if (code != ERR_OK)
            return code;
    }
    if (take_text(&d, ']') && d.at == d.end)
        return ERR_OK;
    return error_set(err, ERR_BAD_REQUEST, "data has more than the %zu images of its shape", count);
}
