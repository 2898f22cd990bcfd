#include "http/query.h"

#include <stdio.h>
#include <string.h>

#include "base/number.h"

struct reading {
    struct query_parameter *known;
    size_t count;
    struct error *err;
    int code;
};

static int refuse_unknown(const struct reading *r, const char *name)
{
    char names[128] = "";
    for (size_t i = 0, length = 0; i < r->count && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? ", " : "",
                                   r->known[i].name);
    return error_set(r->err, ERR_PARAMETER, "unknown query parameter \"%.60s\"; known here: %s",
                     name, r->count > 0 ? names : "none");
}

static enum MHD_Result note(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size,
                            const char *value, size_t value_size)
{
    (void)kind;
    struct reading *r = arg;
    size_t i = 0;
    if (name_size == 0 && value_size == 0)
        return MHD_YES; /* of two & in a row */
    while (i < r->count &&
           (strlen(r->known[i].name) != name_size || strcmp(r->known[i].name, name) != 0))
        i++;
    if (i == r->count)
        r->code = refuse_unknown(r, name);
    else if (r->known[i].value)
        r->code = error_set(r->err, ERR_PARAMETER, "%s is given twice", r->known[i].name);
    else
        r->known[i].value = value && strlen(value) == value_size ? value : "";
    return r->code == ERR_OK ? MHD_YES : MHD_NO;
}

int query_read(const struct exchange *x, struct query_parameter *known, size_t count,
               struct error *err)
{
    struct reading r = {known, count, err, ERR_OK};
    MHD_get_connection_values_n(x->connection, MHD_GET_ARGUMENT_KIND, note, &r);
    return r.code;
}

int query_count(const char *text)
{
    int64_t number = number_parse(text, strlen(text));
    return number <= QUERY_COUNT_MAX ? (int)number : -1;
}

int query_refuse_top_k(struct error *err)
{
    return error_set(err, ERR_PARAMETER,
                     "top_k, the maximum number of classes, must be a whole number from 1 to %d",
                     QUERY_COUNT_MAX);
}
