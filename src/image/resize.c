#include "image/resize.h"

#include <math.h>
#include <string.h>

#include "base/check.h"

/* The triangle. */
static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Cubic convolution (Keys 1981) with a = -0.5. The order of operations is the reference's. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static int32_t fixed_point(double weight)
{
    double scaled = weight * (1 << RESIZE_WEIGHT_BITS);
    return (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

/* A filter stretched for a reduction by `scale`. */
struct stretched {
    double (*filter)(double);
    double scale, support, inverse;
};

static struct stretched stretch(const struct resize_shape *shape)
{
    bool cubic = shape->interpolation == INTERPOLATION_BICUBIC;
    double scale = (double)shape->in_size / shape->out_size;
    double stretching = scale < 1 ? 1 : scale;
    return (struct stretched){
        .filter = cubic ? bicubic : bilinear,
        .scale = scale,
        .support = (cubic ? 2 : 1) * stretching,
        .inverse = 1 / stretching,
    };
}

static struct resize_span plan_output(const struct stretched *by, int in_size, int output,
                                      double *exact, int32_t *weights)
{
    double center = (output + 0.5) * by->scale, sum = 0;
    int first = (int)(center - by->support + 0.5);
    int end = (int)(center + by->support + 0.5);
    if (first < 0)
        first = 0;
    if (end > in_size)
        end = in_size;
    int taps = end - first;
    for (int i = 0; i < taps; i++) {
        exact[i] = by->filter((first + i - center + 0.5) * by->inverse);
        sum += exact[i];
    }
    for (int i = 0; i < taps; i++)
        weights[i] = fixed_point(sum != 0 ? exact[i] / sum : exact[i]);
    return (struct resize_span){first, taps};
}

static bool same_shape(const struct resize_shape *a, const struct resize_shape *b)
{
    return a->in_size == b->in_size && a->out_size == b->out_size && a->offset == b->offset &&
           a->count == b->count && a->interpolation == b->interpolation;
}

static int reserve(struct resize_axis *axis, size_t count, size_t taps, struct error *err)
{
    int code = buffer_reserve(&axis->spans, count, sizeof(struct resize_span), err);
    if (!code)
        code = buffer_reserve(&axis->weights, count * taps, sizeof(int32_t), err);
    if (!code)
        code = buffer_reserve(&axis->exact, taps, sizeof(double), err);
    return code;
}

int resize_axis_plan(struct resize_axis *axis, const struct resize_shape *shape, struct error *err)
{
    CHECK(shape->in_size > 0 && shape->out_size > 0 && shape->count > 0 && shape->offset >= 0);
    CHECK(shape->offset <= shape->out_size - shape->count);
    if (same_shape(&axis->shape, shape))
        return 0;
    struct stretched by = stretch(shape);
    axis->shape = (struct resize_shape){0};
    axis->max_taps = (int)ceil(by.support) * 2 + 1;
    int code = reserve(axis, (size_t)shape->count, (size_t)axis->max_taps, err);
    if (code)
        return code;
    struct resize_span *spans = axis->spans.data;
    int32_t *weights = axis->weights.data;
    for (int i = 0; i < shape->count; i++)
        spans[i] = plan_output(&by, shape->in_size, shape->offset + i, axis->exact.data,
                               weights + (ptrdiff_t)i * axis->max_taps);
    axis->shape = *shape;
    return 0;
}

void resize_axis_trim(struct resize_axis *axis, size_t limit)
{
    if (axis->weights.size + axis->exact.size + axis->spans.size > limit)
        resize_axis_free(axis);
}

void resize_axis_free(struct resize_axis *axis)
{
    buffer_free(&axis->spans);
    buffer_free(&axis->weights);
    buffer_free(&axis->exact);
    *axis = (struct resize_axis){0};
}

const struct resize_span *resize_axis_spans(const struct resize_axis *axis)
{
    return axis->spans.data;
}

static const int32_t *weights_of(const struct resize_axis *axis, int index)
{
    return (const int32_t *)axis->weights.data + (ptrdiff_t)index * axis->max_taps;
}

enum { HALF = 1 << (RESIZE_WEIGHT_BITS - 1) };

static uint8_t clip(int32_t sum)
{
    int32_t value = sum >> RESIZE_WEIGHT_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void resize_horizontal(const struct resize_axis *axis, const uint8_t *rgbx, uint8_t *rgb)
{
    const struct resize_span *spans = axis->spans.data;
    for (int i = 0; i < axis->shape.count; i++) {
        const int32_t *weights = weights_of(axis, i);
        const uint8_t *pixel = rgbx + (ptrdiff_t)spans[i].first * 4;
        int32_t r = HALF, g = HALF, b = HALF;
        for (int k = 0; k < spans[i].taps; k++, pixel += 4) {
            r += pixel[0] * weights[k];
            g += pixel[1] * weights[k];
            b += pixel[2] * weights[k];
        }
        rgb[3 * i] = clip(r);
        rgb[3 * i + 1] = clip(g);
        rgb[3 * i + 2] = clip(b);
    }
}

void resize_vertical(const struct resize_axis *axis, int index, const uint8_t *ring, int ring_rows,
                     size_t bytes, uint8_t *out)
{
    struct resize_span span = resize_axis_spans(axis)[index];
    const int32_t *weights = weights_of(axis, index);
    for (size_t x = 0; x < bytes; x++) {
        int32_t sum = HALF;
        for (int k = 0; k < span.taps; k++)
            sum += weights[k] * ring[(size_t)((span.first + k) % ring_rows) * bytes + x];
        out[x] = clip(sum);
    }
}
