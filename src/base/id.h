/* Identifiers of requests. */
#ifndef RESNEXT_BASE_ID_H
#define RESNEXT_BASE_ID_H

#include <stdbool.h>

enum { ID_MAX = 128, ID_SIZE = ID_MAX + 1, TRACEPARENT_LENGTH = 55 };

/* 32 random hexadecimal digits. Any thread. */
void id_generate(char id[ID_SIZE]);

/* 1 to ID_MAX letters, digits, '.', '_' or '-': safe in headers, JSON and logs. */
bool id_is_sane(const char *id);

/* Whether this is a valid traceparent of W3C Trace Context (section 3.2): version, trace-id,
 * parent-id and flags in lower-case hexadecimal, no version ff, and neither id all zeros. Versions
 * after 00 may continue after a dash; only the first TRACEPARENT_LENGTH bytes have a known meaning.
 */
bool id_is_traceparent(const char *text);

#endif
