/* Tables of comma-separated values (RFC 4180), row by row. */
#ifndef RESNEXT_TOOL_CSV_H
#define RESNEXT_TOOL_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct csv {
    char *at, *end;
    size_t line; /* that `at` is in, from 1 */
};

/* Starts with a text of `length` bytes and a NUL behind it, which is changed and must stay. A byte
 * order mark is passed over. ERR_PARAMETER if there is a NUL in it. */
int csv_open(struct csv *csv, char *text, size_t length, struct error *err);

/* Reads the next row that is not empty: at most `max` fields, without the blanks around them,
 * which lie in the text. `*count` is 0 at the end. `*line` is where the row starts. Lines end with
 * LF or CR LF. ERR_PARAMETER names the line: too many fields, a quote that does not end or stands
 * inside. */
int csv_next(struct csv *csv, char **fields, size_t max, size_t *count, size_t *line,
             struct error *err);

#endif
