#include "http/answer_json.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum { UTF8_LONGEST = 4 };

static bool is_utf8(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t left = length - i, n = 1;
        if ((unsigned char)bytes[i] >= 0x80) {
            unsigned char next[UTF8_LONGEST + 1] = {0};
            memcpy(next, bytes + i, left < UTF8_LONGEST ? left : UTF8_LONGEST);
            n = utf8_length(next);
        }
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static void put_escaped(struct answer *a, unsigned char c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *l = letters; *l; l += 2)
        if ((unsigned char)*l == c) {
            const char escape[] = {'\\', l[1]};
            answer_put(a, escape, sizeof escape);
            return;
        }
    answer_printf(a, "\\u%04X", c);
}

void answer_json_characters(struct answer *answer, const char *bytes, size_t length)
{
    bool sane = is_utf8(bytes, length);
    size_t begin = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool bad = c >= 0x80 && !sane;
        if (c >= 0x20 && c != '"' && c != '\\' && !bad)
            continue;
        answer_put(answer, bytes + begin, i - begin);
        begin = i + 1;
        if (bad)
            answer_text(answer, "?");
        else
            put_escaped(answer, c);
    }
    answer_put(answer, bytes + begin, length - begin);
}

void answer_json_string(struct answer *answer, const char *bytes, size_t length)
{
    answer_text(answer, "\"");
    answer_json_characters(answer, bytes, length);
    answer_text(answer, "\"");
}

void answer_json_text(struct answer *answer, const char *text)
{
    answer_json_string(answer, text, strlen(text));
}

void answer_json_real(struct answer *answer, double value)
{
    char text[32];
    size_t length = (size_t)snprintf(text, sizeof text, "%.*g", ANSWER_JSON_DIGITS, value);
    char *exponent = strchr(text, 'e');
    if (!exponent) {
        answer_put(answer, text, length);
        if (!strchr(text, '.'))
            answer_text(answer, ".0");
        return;
    }
    char *digits = exponent + 2;
    exponent += exponent[1] == '-' ? 2 : 1;
    digits += strspn(digits, "0");
    answer_put(answer, text, (size_t)(exponent - text));
    answer_text(answer, digits);
}

void answer_json_reals(struct answer *answer, const float *values, size_t count)
{
    answer_text(answer, "[");
    for (size_t i = 0; i < count && answer_goes_on(answer); i++) {
        if (i > 0)
            answer_text(answer, ",");
        answer_json_real(answer, (double)values[i]);
    }
    answer_text(answer, "]");
}

void answer_json_error(struct answer *answer, const struct error *error)
{
    answer_printf(answer, "{\"code\":\"%s\",\"message\":", error_json_code(error->code));
    answer_json_text(answer, error->message);
    answer_printf(answer, ",\"status\":%d}", error_status(error->code));
}
