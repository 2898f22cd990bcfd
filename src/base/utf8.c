#include "base/utf8.h"

#include <string.h>

size_t utf8_mark_length(const char *text, size_t length)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    return length >= sizeof mark && memcmp(text, mark, sizeof mark) == 0 ? sizeof mark : 0;
}

size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80   ? 1
               : s[0] < 0xc2 ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf5 ? 4
                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool beyond = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : n;
}

bool utf8_is_control(const unsigned char *s)
{
    bool of_two_bytes = s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0;
    return s[0] < 0x20 || s[0] == 0x7f || of_two_bytes;
}

uint32_t utf8_code_point(const unsigned char *s, size_t length)
{
    static const unsigned char bits_of_first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = s[0] & bits_of_first[length];
    for (size_t i = 1; i < length; i++)
        point = point << 6 | (s[i] & 0x3fU);
    return point;
}

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t point)
{
    for (size_t i = 0; i < count; i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

bool utf8_is_invisible(uint32_t point)
{
    static const struct range ranges[] = {
        {0x00ad, 0x00ad},   {0x034f, 0x034f},   {0x061c, 0x061c},   {0x115f, 0x1160},
        {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200b},   {0x200e, 0x200f},
        {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfeff, 0xfeff},
        {0xffa0, 0xffa0},   {0xfff0, 0xfff8},   {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
        {0xe0000, 0xe00ff}, {0xe01f0, 0xe0fff},
    };
    return is_in(ranges, sizeof ranges / sizeof ranges[0], point);
}

bool utf8_is_invisible_at_end(uint32_t point)
{
    static const struct range ranges[] = {
        {0x00a0, 0x00a0}, {0x1680, 0x1680}, {0x2000, 0x200d},
        {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
    };
    return utf8_is_invisible(point) || is_in(ranges, sizeof ranges / sizeof ranges[0], point);
}
