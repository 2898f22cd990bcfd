/* Tables of comma-separated values (RFC 4180), row by row. */
#ifndef RESNEXT_TOOL_CSV_H
#define RESNEXT_TOOL_CSV_H

#include <stddef.h>

#include "base/error.h"

struct csv {
    char *at, *end;
    size_t line;       /* of `at`, from 1 */
    char **fields;     /* [max] */
    size_t max, count; /* fields of a row at most, and of the current row */
    size_t row;        /* first line of the current row */
};

/* Starts to read a NUL-terminated text of `length` bytes, with at most `max` fields in a row. The
 * text is modified. It and `fields`, which csv_next fills, belong to the caller and must outlive
 * `csv`. Skips a byte order mark. ERR_PARAMETER if the text contains a NUL. */
int csv_open(struct csv *csv, char *text, size_t length, char **fields, size_t max,
             struct error *err);

/* Reads the next row that is not empty. Its fields point into the text and have no blanks around
 * them. csv->count is 0 at the end. Lines end with LF or CR LF. ERR_PARAMETER, with the line in the
 * message: too many fields, an unterminated quote, or a quote inside a field. */
int csv_next(struct csv *csv, struct error *err);

#endif
