/* Names for requests. */
#ifndef RESNEXT_HTTP_ID_H
#define RESNEXT_HTTP_ID_H

#include <stdbool.h>

enum { ID_MAX = 128, ID_SIZE = ID_MAX + 1, TRACEPARENT_LENGTH = 55 };

/* 32 random hexadecimal digits. Any thread. */
void id_generate(char id[ID_SIZE]);

/* 1 to ID_MAX letters, digits, '.', '_' or '-': safe in headers, JSON and logs. */
bool id_is_sane(const char *id);

/* The form of W3C Trace Context, version 00: 00-<32 hex>-<16 hex>-<2 hex>. */
bool id_is_traceparent(const char *text);

#endif
