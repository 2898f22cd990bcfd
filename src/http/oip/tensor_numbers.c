#include "http/oip/tensor_numbers.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/json_text.h"

/* The parts of a JSON number. */
struct number {
    uint64_t digits; /* the first 19 */
    int exponent;    /* of ten, for them */
    bool negative, exact /* all digits are there */;
};

enum { DIGITS_MAX = 19, NUMBER_LENGTH_MAX = 64, EXACT_POWER = 22 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *take_digits(const char *at, const char *end, struct number *n, int *taken,
                               int power)
{
    for (; at < end && is_digit(*at); at++) {
        if (*taken < DIGITS_MAX) {
            n->digits = 10 * n->digits + (uint64_t)(*at - '0');
            *taken += n->digits > 0;
            n->exponent += power;
        } else {
            n->exact = n->exact && *at == '0';
            n->exponent += power + 1;
        }
    }
    return at;
}

static const char *take_exponent(const char *at, const char *end, struct number *n)
{
    bool negative = false;
    int exponent = 0;
    if (++at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    if (at == end || !is_digit(*at))
        return NULL;
    for (; at < end && is_digit(*at); at++)
        exponent = exponent < 100000 ? 10 * exponent + (*at - '0') : exponent;
    n->exponent += negative ? -exponent : exponent;
    return at;
}

/* Splits the number at `at` by JSON's grammar; where it ends, NULL if there is none. */
static const char *split_number(const char *at, const char *end, struct number *n)
{
    int taken = 0;
    *n = (struct number){.exact = true};
    if (at < end && *at == '-') {
        n->negative = true;
        at++;
    }
    if (at == end || !is_digit(*at))
        return NULL;
    if (*at == '0')
        at++;
    else
        at = take_digits(at, end, n, &taken, 0);
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = take_digits(at, end, n, &taken, -1);
        if (at == fraction)
            return NULL;
    }
    return at < end && (*at == 'e' || *at == 'E') ? take_exponent(at, end, n) : at;
}

/* Where one multiplication or division by a power of ten that is exact in double gives the number
 * to within 2^-52, which is far nearer than the next float32. */
static bool quick_value(const struct number *n, double *value)
{
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (!n->exact || n->exponent > EXACT_POWER || n->exponent < -EXACT_POWER)
        return false;
    double digits = (double)n->digits;
    *value = n->exponent < 0 ? digits / powers[-n->exponent] : digits * powers[n->exponent];
    *value = n->negative ? -*value : *value;
    return true;
}

/* From here on a number rounds to infinity. */
static const double TOO_LARGE = 0x1.ffffffp127;

/* Reads the float32 at `at`; its length in characters, 0 if there is none. */
static size_t read_float(const char *at, const char *end, float *out)
{
    struct number n;
    char text[NUMBER_LENGTH_MAX + 1];
    double value;
    const char *after = split_number(at, end, &n);
    if (!after)
        return 0;
    size_t length = (size_t)(after - at);
    if (!quick_value(&n, &value)) {
        if (length > NUMBER_LENGTH_MAX)
            return 0;
        memcpy(text, at, length);
        text[length] = '\0';
        value = strtod(text, NULL);
    }
    if (fabs(value) >= TOO_LARGE)
        return 0;
    *out = (float)value;
    return length;
}

static bool take(struct tensor_numbers *t, char c)
{
    return json_text_take(&t->at, t->end, c);
}

/* Begins element `i` of a dimension. */
static bool begin(struct tensor_numbers *t, size_t i)
{
    return i == 0 || take(t, ',');
}

static bool take_number(struct tensor_numbers *t, float *out)
{
    t->at = json_text_skip_space(t->at, t->end);
    size_t length = read_float(t->at, t->end, out);
    t->at += length;
    return length > 0;
}

/* An image (`dimension` 0), a channel of one (1), a row of that (2) or a number (3). */
static bool take_elements(struct tensor_numbers *t, int dimension, float *out)
{
    const size_t counts[] = {3, t->size, t->size}, strides[] = {1, 3 * t->size, 3};
    if (dimension == 3)
        return take_number(t, out);
    if (t->nested && !take(t, '['))
        return false;
    for (size_t i = 0; i < counts[dimension]; i++)
        if (!begin(t, i) || !take_elements(t, dimension + 1, out + i * strides[dimension]))
            return false;
    return !t->nested || take(t, ']');
}

int tensor_numbers_open(struct tensor_numbers *t, const struct tensor_json_data *data, size_t size,
                        size_t images, struct error *err)
{
    *t = (struct tensor_numbers){
        .at = data->bytes, .end = data->bytes + data->length, .size = size, .images = images};
    if (!take(t, '['))
        return error_set(err, ERR_BAD_REQUEST, "data is not an array");
    t->at = json_text_skip_space(t->at, t->end);
    t->nested = t->at < t->end && *t->at == '[';
    return ERR_OK;
}

int tensor_numbers_next(struct tensor_numbers *t, float *out, struct error *err)
{
    size_t image = t->next++;
    bool last = t->next == t->images;
    if (begin(t, image) && take_elements(t, 0, out) && (!last || (take(t, ']') && t->at == t->end)))
        return ERR_OK;
    return error_set(
        err, ERR_BAD_REQUEST,
        "data must be %zu x 3 x %zu x %zu finite FP32 numbers, flat or nested like the "
        "shape; image %zu is not",
        t->images, t->size, t->size, image);
}
