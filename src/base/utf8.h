/* UTF-8 in bytes from outside. */
#ifndef RESNEXT_BASE_UTF8_H
#define RESNEXT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length (1 to 4) of the valid sequence that NUL-terminated `s` starts with, 0 if there is none:
 * no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629). */
size_t utf8_length(const unsigned char *s);

/* Whether `s` starts with a control character: those of ASCII, and U+0080 to U+009F, two bytes that
 * a terminal obeys as well. */
bool utf8_is_control(const unsigned char *s);

#endif
