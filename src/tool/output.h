/* Standard output as text, CSV and JSON lines, and its errors; files of results. One thread. */
#ifndef RESNEXT_TOOL_OUTPUT_H
#define RESNEXT_TOOL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "nn/layer.h"
#include "nn/summary.h"
#include "tool/tool.h"

/* Prints a CSV field (RFC 4180), quoted where needed. Control characters are escaped as in JSON,
 * bytes that are not UTF-8 as \xNN. Backslashes are doubled, so a reader can restore the bytes. */
void output_csv_field(FILE *f, const char *text);

/* Formats a number with thousands separators, e.g. 25,028,904. */
void output_grouped(int64_t number, char text[32]);

/* The shortest decimal text that parses to the same float. */
struct output_digits {
    char text[32];
};
struct output_digits output_float(float number);

/* JSON values of outside bytes (invalid UTF-8 becomes U+FFFD) and of floats (null if not finite).
 * NULL if there is no memory, which output_json_line reports. */
json_t *output_json_text(const char *text);
json_t *output_json_float(float number);
json_t *output_json_floats(const float *numbers, size_t count);

/* Prints {"file","error":{"code","message"}} on one line. */
void output_json_failure(const char *path, const struct error *err);

/* {"dense","grouped"}. "grouped" is null if the network has no grouped convolutions. */
json_t *output_json_kernels(const struct network_summary *kernels);

/* Appends `value`, which `array` then owns. Returns `array`; without memory releases both and
 * returns NULL. */
json_t *output_json_append(json_t *array, json_t *value);

/* Prints `object` on one line and releases it. NULL counts as an output error. */
void output_json_line(json_t *object);

/* Writes `head` and then `length` bytes to the file `path`. After ERR_IO the partial file is
 * removed, unless `path` is a link, a device or a pipe. NULL is standard output; output_flush()
 * reports its errors. */
int output_bytes(const char *path, const char *head, const void *bytes, size_t length,
                 struct error *err);

/* Flushes standard output. False once any output is lost; the caller should stop. */
bool output_flush(void);

/* Flushes at the end of the program and returns its exit code: `status`, or TOOL_FAILED if output
 * was lost. Prints why, except for a closed pipe. */
int output_close(int status);

#endif
