/* Standard output: numbers for people, CSV, JSON lines; and whether it got there. Files of results.
 * One thread. */
#ifndef RESNEXT_TOOL_OUTPUT_H
#define RESNEXT_TOOL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "nn/layer.h"
#include "nn/summary.h"
#include "tool/tool.h"

/* One CSV field (RFC 4180), quoted where needed. What a terminal would obey is escaped as in JSON,
 * a byte that is not UTF-8 as \xNN, and a backslash is doubled, so that the bytes can be had again.
 */
void output_csv_field(FILE *f, const char *text);

/* A number with thousands separated by commas, e.g. 25,028,904. */
void output_grouped(int64_t number, char text[32]);

/* The shortest decimal number that reads back as the same float. */
struct output_digits {
    char text[32];
};
struct output_digits output_float(float number);

/* JSON values from outside bytes (invalid UTF-8 becomes U+FFFD) and from floats (null if not
 * finite). NULL without memory, which output_json_line reports. */
json_t *output_json_text(const char *text);
json_t *output_json_float(float number);

/* Prints {"file","error":{"code","message"}} on one line. */
void output_json_failure(const char *path, const struct error *err);

/* {"dense","grouped"}; null where there are none. */
json_t *output_json_kernels(const struct network_summary *kernels);

/* Appends `value`, which is taken over; returns `array`, or NULL (both released) without memory. */
json_t *output_json_append(json_t *array, json_t *value);

/* Prints `object` on one line and releases it; NULL counts as a failure of the output. */
void output_json_line(json_t *object);

/* Writes `head` and then `length` bytes to the file `path`. If not all of it could be written it
 * leaves no part behind (unless `path` is a link, a device or a pipe) and returns ERR_IO. NULL is
 * standard output, of whose failures output_flush() tells. */
int output_bytes(const char *path, const char *head, const void *bytes, size_t length,
                 struct error *err);

/* Flushes standard output. False once anything has been lost: there is no point in going on. */
bool output_flush(void);

/* At the end: `status`, or TOOL_FAILED if output was lost. Says why, unless a reader has left. */
int output_close(int status);

#endif
