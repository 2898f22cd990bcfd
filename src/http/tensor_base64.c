#include "http/tensor_base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The character at *at of a string: itself, or what an escape stands for if that is ASCII. -1 at
 * the end of the string and for what cannot be base64. */
static int take_character(char **at, const char *end)
{
    if (end - *at < 1 || **at == '"')
        return -1;
    if (**at != '\\')
        return (unsigned char)*(*at)++;
    if (end - *at >= 2 && (*at)[1] == '/') {
        *at += 2;
        return '/';
    }
    if (end - *at < 6 || memcmp(*at, "\\u00", 4) != 0)
        return -1;
    const char hex[] = {(*at)[4], (*at)[5], '\0'};
    if (strspn(hex, "0123456789abcdefABCDEF") != 2)
        return -1;
    *at += 6;
    return (int)strtol(hex, NULL, 16);
}

static int sextet(int c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Four characters make up to three bytes at *to; false if they are wrong. `*padded` at the end. */
static bool take_quantum(char **at, const char *end, char **to, bool *padded)
{
    uint32_t bits = 0;
    int valued = 0;
    for (int i = 0; i < 4; i++) {
        int c = take_character(at, end), value = sextet(c);
        bool pads = c == '=' && i >= 2;
        if ((value < 0 && !pads) || (value >= 0 && valued < i))
            return false;
        valued += value >= 0;
        bits = bits << 6 | (uint32_t)(value < 0 ? 0 : value);
    }
    *padded = valued < 4;
    for (int i = 0; i < valued - 1; i++)
        *(*to)++ = (char)(bits >> (16 - 8 * i) & 0xff);
    return true;
}

/* Decodes the string at *at in place and goes behind it. */
static bool decode_string(char **at, const char *end, struct tensor_json_data *out)
{
    if (*at == end || *(*at)++ != '"')
        return false;
    char *to = *at;
    bool padded = false;
    out->bytes = to;
    while (*at < end && **at != '"')
        if (padded || !take_quantum(at, end, &to, &padded))
            return false;
    out->length = (size_t)(to - out->bytes);
    return *at < end && *(*at)++ == '"';
}

static bool take_text(char **at, const char *end, char c)
{
    *at = tensor_json_skip_space(*at, end);
    return *at < end && *(*at)++ == c;
}

static bool decode_element(char **at, const char *end, bool nested, struct tensor_json_data *out)
{
    if (nested && !take_text(at, end, '['))
        return false;
    *at = tensor_json_skip_space(*at, end);
    return decode_string(at, end, out) && (!nested || take_text(at, end, ']'));
}

int tensor_base64(const struct tensor_json_data *data, size_t count, bool nested,
                  struct tensor_json_data *out, struct error *err)
{
    char *at = data->bytes, *end = at + data->length;
    bool good = take_text(&at, end, '[');
    at = tensor_json_skip_space(at, end);
    nested = nested && at < end && *at == '[';
    for (size_t i = 0; i < count && good; i++)
        good = (i == 0 || take_text(&at, end, ',')) && decode_element(&at, end, nested, &out[i]);
    if (good && take_text(&at, end, ']') && at == end)
        return ERR_OK;
    return error_set(err, ERR_BAD_REQUEST,
                     "data must be %zu strings of base64; JSON cannot hold a JPEG otherwise",
                     count);
}
