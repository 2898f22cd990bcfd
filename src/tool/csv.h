/* Tables of comma-separated values (RFC 4180), row by row. */
#ifndef RESNEXT_TOOL_CSV_H
#define RESNEXT_TOOL_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct csv {
    char *at, *end;
    size_t line; /* of `at`, from 1 */
};

/* Starts to read a NUL-terminated text of `length` bytes. The text is modified and must outlive the
 * fields. Skips a byte order mark. ERR_PARAMETER if the text contains a NUL. */
int csv_open(struct csv *csv, char *text, size_t length, struct error *err);

/* Reads the next row that is not empty, at most `max` fields. Fields point into the text and have
 * no blanks around them. `*count` is 0 at the end. `*line` is the first line of the row. Lines end
 * with LF or CR LF. ERR_PARAMETER, with the line in the message: too many fields, an unterminated
 * quote, or a quote inside a field. */
int csv_next(struct csv *csv, char **fields, size_t max, size_t *count, size_t *line,
             struct error *err);

#endif
