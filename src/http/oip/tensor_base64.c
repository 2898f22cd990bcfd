#include "http/oip/tensor_base64.h"

#include "http/base64.h"
#include "http/json_text.h"

/* A walk along the array. */
struct decoder {
    char *at, *end;
    size_t image;
    struct error *err;
};

static int wrong(const struct decoder *d, const char *what)
{
    return error_set(d->err, ERR_BAD_REQUEST, "image %zu in data %s", d->image, what);
}

static bool take_text(struct decoder *d, char c)
{
    return json_text_take(&d->at, d->end, c);
}

#define WANTED "; JSON holds a JPEG as a string of base64, or binary_data_size says that it follows"

static int no_string(const struct decoder *d)
{
    char c = d->at < d->end ? *d->at : '\0';
    return wrong(d, (c >= '0' && c <= '9') || c == '-' ? "is a number" WANTED
                    : c == '['                         ? "is an array" WANTED
                    : c == '{'                         ? "is an object" WANTED
                    : c == 'n'                         ? "is null" WANTED
                                                       : "is not a string" WANTED);
}

static int decode_element(struct decoder *d, bool nested, struct tensor_json_data *out)
{
    if (nested && !take_text(d, '['))
        return no_string(d);
    if (!take_text(d, '"'))
        return no_string(d);
    out->bytes = d->at;
    int code = base64_decode(&d->at, d->end, &out->length, d->err);
    if (code != ERR_OK)
        return error_prefix(d->err, code, "image %zu in data", d->image);
    if (!take_text(d, '"') || (nested && !take_text(d, ']')))
        return wrong(d, "does not end as it should");
    return ERR_OK;
}

int tensor_base64(const struct tensor_json_data *data, size_t count, bool nested,
                  struct tensor_json_data *out, struct error *err)
{
    struct decoder d = {.at = data->bytes, .end = data->bytes + data->length, .err = err};
    if (!take_text(&d, '['))
        return error_set(err, ERR_BAD_REQUEST, "data is not an array");
    d.at = json_text_skip_space(d.at, d.end);
    nested = nested && d.at < d.end && *d.at == '[';
    for (; d.image < count; d.image++) {
        d.at = json_text_skip_space(d.at, d.end);
        if ((d.at < d.end && *d.at == ']') || (d.image > 0 && !take_text(&d, ',')))
            return error_set(err, ERR_BAD_REQUEST, "data has %zu images, but its shape says %zu",
                             d.image, count);
        d.at = json_text_skip_space(d.at, d.end);
        int code = decode_element(&d, nested, &out[d.image]);
        if (code != ERR_OK)
            return code;
    }
    if (take_text(&d, ']') && d.at == d.end)
        return ERR_OK;
    return error_set(err, ERR_BAD_REQUEST, "data has more than the %zu images of its shape", count);
}
