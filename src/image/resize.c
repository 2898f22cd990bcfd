#include "image/resize.h"

#include <math.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/check.h"
#include "base/cpu.h"
#include "image/resize_vectors.h"
#include "kernel/isa/generic.h"

/* What resize_sums.h needs. */
typedef uint8_t lane_bytes __attribute__((vector_size(16)));
#define SHUFFLE(v, order)                                                                          \
    __builtin_shufflevector(v, v, (order)&3, (order) >> 2 & 3, (order) >> 4 & 3, (order) >> 6)
#define INTERLEAVE_LOW(a, b)                                                                       \
    ((vec)__builtin_shufflevector((lane_bytes)(a), (lane_bytes)(b), 0, 16, 1, 17, 2, 18, 3, 19, 4, \
                                  20, 5, 21, 6, 22, 7, 23))
#define INTERLEAVE_HIGH(a, b)                                                                      \
    ((vec)__builtin_shufflevector((lane_bytes)(a), (lane_bytes)(b), 8, 24, 9, 25, 10, 26, 11, 27,  \
                                  12, 28, 13, 29, 14, 30, 15, 31))
#ifdef __SSE2__
#define MULTIPLY_PAIRS(a, b) ((vec)_mm_madd_epi16((__m128i)(a), (__m128i)(b)))
#define PACK_DWORDS(a, b)    ((vec)_mm_packs_epi32((__m128i)(a), (__m128i)(b)))
#define PACK_WORDS(a, b)     ((vec)_mm_packus_epi16((__m128i)(a), (__m128i)(b)))
#else
typedef int16_t lane_words __attribute__((vector_size(16)));

static inline vec MULTIPLY_PAIRS(vec a, vec b)
{
    lane_words x = (lane_words)a, y = (lane_words)b;
    vec sum;
    for (int i = 0; i < LANES; i++)
        sum[i] = x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
    return sum;
}

static inline int clip(int value, int min, int max)
{
    return value < min ? min : value > max ? max : value;
}

static inline vec PACK_DWORDS(vec a, vec b)
{
    lane_words words;
    for (int i = 0; i < 8; i++)
        words[i] = (int16_t)clip(i < 4 ? a[i] : b[i - 4], INT16_MIN, INT16_MAX);
    return (vec)words;
}

static inline vec PACK_WORDS(vec a, vec b)
{
    lane_words x = (lane_words)a, y = (lane_words)b;
    lane_bytes bytes;
    for (int i = 0; i < 16; i++)
        bytes[i] = (uint8_t)clip(i < 8 ? x[i] : y[i - 8], 0, UINT8_MAX);
    return (vec)bytes;
}
#endif

#include "image/resize_sums.h"

/* A weight w of 22 fraction bits is kept as two numbers of 16 bits, low = w & 2047 and high =
 * w >> 11, because x86 multiplies and adds pairs of those in one step. A group of taps a, b, c, d
 * is stored as low a, c, b, d, high a, c, b, d: interleaving the first eight bytes of four pixels
 * (or of rows) with the next eight makes pairs of a and c, and of b and d. Sums are taken modulo
 * 2^32; what comes out fits. */

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
    double start, scale, support, inverse;
    int max_taps; /* of an output */
};

static struct stretched stretch(const struct resize_shape *shape)
{
    bool cubic = shape->interpolation == INTERPOLATION_BICUBIC;
    double scale = (shape->end - shape->start) / shape->out_size;
    double stretching = scale < 1 ? 1 : scale, support = (cubic ? 2 : 1) * stretching;
    return (struct stretched){
        .filter = cubic ? bicubic : bilinear,
        .start = shape->start,
        .scale = scale,
        .support = support,
        .inverse = 1 / stretching,
        /* Whole numbers within twice the support, ends that rounding moved included. */
        .max_taps = (int)floor(2 * support + 1e-6) + 1,
    };
}

static void store_weight(int16_t *groups, int tap, int32_t weight)
{
    static const int place[RESIZE_GROUP] = {0, 2, 1, 3};
    int16_t *group = groups + tap / RESIZE_GROUP * 2 * RESIZE_GROUP;
    group[place[tap % RESIZE_GROUP]] = (int16_t)(weight & ((1 << RESIZE_LOW_BITS) - 1));
    group[RESIZE_GROUP + place[tap % RESIZE_GROUP]] = (int16_t)(weight >> RESIZE_LOW_BITS);
}

static struct resize_span plan_output(const struct stretched *by, const struct resize_shape *shape,
                                      int output, double *exact, int16_t *groups)
{
    const int in_size = shape->in_size;
    const bool mirrored = shape->mirrored;
    double center = by->start + (output + 0.5) * by->scale, sum = 0;
    int first = (int)(center - by->support + 0.5);
    int end = (int)(center + by->support + 0.5);
    if (first < 0)
        first = 0;
    if (end > in_size)
        end = in_size;
    int taps = end - first;
    CHECK(taps <= by->max_taps);
    for (int i = 0; i < taps; i++) {
        exact[i] = by->filter((first + i - center + 0.5) * by->inverse);
        sum += exact[i];
    }
    for (int i = 0; i < taps; i++)
        store_weight(groups, mirrored ? taps - 1 - i : i,
                     fixed_point(sum != 0 ? exact[i] / sum : exact[i]));
    return (struct resize_span){mirrored ? in_size - end : first, taps};
}

static bool same_shape(const struct resize_shape *a, const struct resize_shape *b)
{
    return a->in_size == b->in_size && a->start == b->start && a->end == b->end &&
           a->out_size == b->out_size && a->offset == b->offset && a->count == b->count &&
           a->mirrored == b->mirrored && a->interpolation == b->interpolation;
}

static int reserve(struct resize_axis *axis, size_t count, struct error *err)
{
    size_t groups = count * (size_t)axis->max_groups;
    int code = buffer_reserve(&axis->spans, count, sizeof(struct resize_span), err);
    if (code == ERR_OK)
        code = buffer_reserve(&axis->weights, groups, 2 * RESIZE_GROUP * sizeof(int16_t), err);
    if (code == ERR_OK)
        code = buffer_reserve(&axis->exact, (size_t)axis->max_taps, sizeof(double), err);
    return code;
}

int resize_axis_output(const struct resize_axis *axis, int index)
{
    return axis->shape.mirrored ? axis->shape.count - 1 - index : index;
}

static int16_t *groups_of(const struct resize_axis *axis, int index)
{
    return (int16_t *)axis->weights.data + (ptrdiff_t)index * axis->max_groups * 2 * RESIZE_GROUP;
}

int resize_axis_plan(struct resize_axis *axis, const struct resize_shape *shape, struct error *err)
{
    CHECK(0 <= shape->start && shape->start < shape->end && shape->end <= shape->in_size);
    CHECK(shape->in_size > 0 && shape->out_size > 0 && shape->count > 0 && shape->offset >= 0);
    CHECK(shape->offset <= shape->out_size - shape->count);
    if (same_shape(&axis->shape, shape))
        return ERR_OK;
    struct stretched by = stretch(shape);
    axis->shape = (struct resize_shape){0};
    axis->max_taps = by.max_taps;
    axis->max_groups = (axis->max_taps + RESIZE_GROUP - 1) / RESIZE_GROUP;
    int code = reserve(axis, (size_t)shape->count, err);
    if (code != ERR_OK)
        return code;
    memset(axis->weights.data, 0, axis->weights.size);
    struct resize_span *spans = axis->spans.data;
    axis->shape = *shape;
    for (int i = 0; i < shape->count; i++)
        spans[i] = plan_output(&by, shape, shape->offset + resize_axis_output(axis, i),
                               axis->exact.data, groups_of(axis, i));
    return ERR_OK;
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

/* The widest of this machine, or NULL. */
static const struct resize_vectors *wide_vectors(void)
{
#ifdef __x86_64__
    struct cpu_features cpu = cpu_features();
    return cpu.avx512 ? &resize_avx512 : cpu.avx2 ? &resize_avx2 : NULL;
#else
    return NULL;
#endif
}

/* As much as wide vectors can do. */
static int horizontal_vectors(const struct resize_axis *axis, const uint8_t *rgbx, uint8_t *rgb)
{
    const struct resize_vectors *wide = wide_vectors();
    if (!wide || axis->max_groups > 2)
        return 0;
    return wide->horizontal(
        axis->spans.data, axis->weights.data, axis->max_groups, axis->shape.count, rgbx,
        rgb + 3 * (ptrdiff_t)resize_axis_output(axis, 0), axis->shape.mirrored ? -3 : 3);
}

void resize_horizontal(const struct resize_axis *axis, const uint8_t *rgbx, uint8_t *rgb)
{
    const struct resize_span *spans = axis->spans.data;
    for (int i = horizontal_vectors(axis, rgbx, rgb); i < axis->shape.count; i++) {
        const int16_t *weights = groups_of(axis, i);
        const uint8_t *pixels = rgbx + (ptrdiff_t)spans[i].first * 4;
        struct sums sums = {{0}, {0}};
        for (int taps = spans[i].taps; taps > 0; taps -= RESIZE_GROUP) {
            add_group(&sums, load(pixels), load(weights));
            weights += 2 * RESIZE_GROUP;
            pixels += 4 * RESIZE_GROUP;
        }
        vec sum = rounded(total(&sums)), words = PACK_DWORDS(sum, sum);
        vec bytes = PACK_WORDS(words, words);
        memcpy(rgb + (ptrdiff_t)3 * resize_axis_output(axis, i), &bytes, 3);
    }
}

void resize_vertical(const struct resize_axis *axis, int index, const uint8_t *rows, size_t stride,
                     size_t bytes, uint8_t *out)
{
    const int16_t *weights = groups_of(axis, index);
    int taps = resize_axis_spans(axis)[index].taps;
    const struct resize_vectors *wide = wide_vectors();
    size_t x = wide ? wide->vertical(weights, taps, rows, stride, bytes, out) : 0;
    for (; x < bytes; x += RESIZE_BLOCK) {
        vec v = block(weights, taps, rows + x, stride);
        memcpy(out + x, &v, bytes - x < RESIZE_BLOCK ? bytes - x : RESIZE_BLOCK);
    }
}
