#include "http/arguments.h"

#include <string.h>

#include "base/number.h"

struct reading {
    struct argument *known;
    size_t count;
    struct error *err;
    int code;
};

static enum MHD_Result note(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_size,
                            const char *value, size_t value_size)
{
    (void)kind;
    (void)key_size;
    struct reading *r = arg;
    for (size_t i = 0; i < r->count; i++) {
        struct argument *known = &r->known[i];
        if (strcmp(key, known->key) != 0)
            continue;
        if (known->value)
            r->code = error_set(r->err, ERR_PARAMETER, "%s is given twice", known->key);
        known->value = value && strlen(value) == value_size ? value : "";
    }
    return MHD_YES;
}

int arguments_read(const struct exchange *x, struct argument *known, size_t count,
                   struct error *err)
{
    struct reading r = {known, count, err, ERR_OK};
    MHD_get_connection_values_n(x->connection, MHD_GET_ARGUMENT_KIND, note, &r);
    return r.code;
}

int arguments_count(const char *text)
{
    int64_t number = number_parse(text, strlen(text));
    return number <= ARGUMENTS_COUNT_MAX ? (int)number : -1;
}
