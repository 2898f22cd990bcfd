/* UTF-8 in bytes from outside. */
#ifndef RESNEXT_BASE_UTF8_H
#define RESNEXT_BASE_UTF8_H

#include <stddef.h>

/* Length (1 to 4) of the valid sequence that NUL-terminated `s` starts with, 0 if there is none:
 * no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629). */
size_t utf8_length(const unsigned char *s);

#endif
