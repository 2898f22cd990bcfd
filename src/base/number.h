/* Whole numbers and bytes in text from outside. Any thread. */
#ifndef RESNEXT_BASE_NUMBER_H
#define RESNEXT_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The decimal number in text[0 .. length-1]: one digit or more and nothing else, no sign and no
 * blank; leading zeros are allowed. -1 if it is not one, INT64_MAX if it is larger. */
int64_t number_parse(const char *text, size_t length);

/* Reads `count` bytes of two hexadecimal digits each, in either case. False if `text` does not
 * begin with them; `bytes` is then undefined. */
bool hex_parse(const char *text, unsigned char *bytes, size_t count);

/* Writes two lower-case digits for each byte, and a NUL. */
void hex_print(char *text, const unsigned char *bytes, size_t count);

#endif
