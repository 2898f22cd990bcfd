#include "tool/csv.h"

#include <ctype.h>
#include <string.h>

#include "base/utf8.h"

int csv_open(struct csv *csv, char *text, size_t length, char **fields, size_t max,
             struct error *err)
{
    *csv = (struct csv){.at = text + utf8_mark_length(text, length),
                        .end = text + length,
                        .line = 1,
                        .fields = fields,
                        .max = max};
    if (memchr(text, '\0', length))
        return error_set(err, ERR_PARAMETER, "there is a NUL byte; this is no table in text");
    return ERR_OK;
}

static bool is_blank(char c)
{
    return isblank((unsigned char)c) || c == '\r';
}

static char *trim(char *text, char *end)
{
    while (end > text && is_blank(end[-1]))
        end--;
    *end = '\0';
    return text + strspn(text, " \t");
}

/* Reads a quoted field. csv->at is at the opening quote before and at the separator after. */
static int read_quoted(struct csv *csv, char **field, struct error *err)
{
    size_t first_line = csv->line;
    char *out = ++csv->at;
    *field = out;
    for (; csv->at < csv->end; csv->at++) {
        if (*csv->at == '"' && *++csv->at != '"') {
            *out = '\0';
            while (csv->at < csv->end && is_blank(*csv->at))
                csv->at++;
            if (csv->at == csv->end || *csv->at == ',' || *csv->at == '\n')
                return ERR_OK;
            return error_set(err, ERR_PARAMETER,
                             "line %zu: something follows a closing quote; inside, it must be "
                             "doubled",
                             csv->line);
        }
        csv->line += *csv->at == '\n';
        *out++ = *csv->at;
    }
    return error_set(err, ERR_PARAMETER, "line %zu: a quote that opens here has no end",
                     first_line);
}

/* Reads one field and the separator after it. `*last` is true if the field ends the row. */
static int read_field(struct csv *csv, char **field, bool *last, struct error *err)
{
    csv->at += strspn(csv->at, " \t");
    char *start = csv->at, *end = NULL;
    if (*csv->at == '"') {
        int code = read_quoted(csv, field, err);
        if (code != ERR_OK)
            return code;
    } else {
        csv->at += strcspn(csv->at, ",\"\n");
        end = csv->at;
        if (*end == '"')
            return error_set(err, ERR_PARAMETER,
                             "line %zu: a quote inside a field; the whole field must be in quotes",
                             csv->line);
    }
    *last = *csv->at != ',';
    csv->line += *csv->at == '\n';
    csv->at += csv->at < csv->end;
    if (end)
        *field = trim(start, end);
    return ERR_OK;
}

static int read_row(struct csv *csv, struct error *err)
{
    csv->row = csv->line;
    for (bool last = false; !last;) {
        char *field = NULL;
        int code = read_field(csv, &field, &last, err);
        if (code != ERR_OK)
            return code;
        if (csv->count == csv->max)
            return error_set(err, ERR_PARAMETER, "line %zu: there are more than %zu fields",
                             csv->row, csv->max);
        csv->fields[csv->count++] = field;
    }
    return ERR_OK;
}

int csv_next(struct csv *csv, struct error *err)
{
    csv->count = 0;
    while (csv->at < csv->end && csv->count == 0) {
        int code = read_row(csv, err);
        if (code != ERR_OK)
            return code;
        if (csv->count == 1 && csv->fields[0][0] == '\0')
            csv->count = 0;
    }
    return ERR_OK;
}
