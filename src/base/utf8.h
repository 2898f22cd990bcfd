/* UTF-8 in bytes from outside. */
#ifndef RESNEXT_BASE_UTF8_H
#define RESNEXT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the byte order mark that a text starts with: 3, or 0 without one. */
size_t utf8_mark_length(const char *text, size_t length);

/* Length (1 to 4) of the valid sequence at the start of NUL-terminated `s`; 0 if there is none: no
 * overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629). */
size_t utf8_length(const unsigned char *s);

/* Whether `s` starts with a control character: those of ASCII, and U+0080 to U+009F, of two bytes,
 * which terminals obey, too. */
bool utf8_is_control(const unsigned char *s);

/* The code point of the valid sequence of `length` bytes at `s`. */
uint32_t utf8_code_point(const unsigned char *s, size_t length);

/* Whether a code point is invisible, so that two texts with and without it look the same: Unicode's
 * Default_Ignorable_Code_Point without joiners and variation selectors, which change the look of
 * their neighbours. */
bool utf8_is_invisible(uint32_t code_point);

/* Whether a code point is invisible at the end of a text: also blanks outside ASCII, and joiners.
 */
bool utf8_is_invisible_at_end(uint32_t code_point);

#endif
