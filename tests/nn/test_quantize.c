#include "nn/quantize.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernel/quantize.h"
#include "tests/random.h"
#include "tests/suite.h"

enum { IN = 6, OUT = 4, GROUPS = 2, KERNEL = 3, TAPS = KERNEL * KERNEL };
enum { EACH = IN / GROUPS * TAPS, WEIGHTS = OUT * EACH };

static const struct layer layer = {
    .kind = LAYER_CONV,
    .name = "some.conv",
    .shape = {.in_h = 3,
              .in_w = 3,
              .in_c = IN,
              .out_h = 1,
              .out_w = 1,
              .out_c = OUT,
              .kernel = KERNEL,
              .stride = 1,
              .groups = GROUPS},
    .input = 0,
    .residual = LAYER_NO_VALUE,
};

/* Everything that a layer needs, made up. */
struct given {
    float weights[WEIGHTS], bias[OUT];
    float x_scale[IN], x_zero[IN], x_mean[IN];
    float y_scale[OUT], y_zero[OUT], r_scale[OUT], r_zero[OUT];
    struct quantization x, y, residual;
    struct conv_weights out;
};

static void make(struct given *g)
{
    uint64_t state = 7;
    random_floats(&state, g->weights, WEIGHTS);
    random_floats(&state, g->bias, OUT);
    for (int c = 0; c < IN; c++) {
        g->x_scale[c] = 0.01F * (float)(c + 1);
        g->x_zero[c] = (float)(20 * c);
        g->x_mean[c] = 0.3F * (float)c;
    }
    for (int c = 0; c < OUT; c++) {
        g->y_scale[c] = 0.05F * (float)(c + 1);
        g->y_zero[c] = (float)(30 * c);
        g->r_scale[c] = 0.02F * (float)(c + 1);
        g->r_zero[c] = (float)(128 - c);
    }
    g->x = (struct quantization){g->x_scale, g->x_zero, NULL};
    g->y = (struct quantization){g->y_scale, g->y_zero, NULL};
    g->residual = (struct quantization){g->r_scale, g->r_zero, NULL};
}

/* The channel of x that weight `i` of output `o` reads. */
static int input_of(int o, int i)
{
    return o / (OUT / GROUPS) * (IN / GROUPS) + i / TAPS;
}

START_TEST(weights_are_within_half_a_step)
{
    struct given g;
    make(&g);
    ck_assert_int_eq(
        quantize_layer(&layer, g.weights, g.bias, NULL, &g.x, &g.y, NULL, &g.out, NULL), ERR_OK);
    for (int o = 0; o < OUT; o++) {
        double step = (double)g.out.multiplier[o] * g.y_scale[o];
        int max = 0;
        for (int i = 0; i < EACH; i++) {
            int q = g.out.quantized[o * EACH + i];
            double exact = (double)g.weights[o * EACH + i] * g.x_scale[input_of(o, i)];
            ck_assert_double_le(fabs(q * step - exact), 0.5001 * step);
            max = abs(q) > max ? abs(q) : max;
        }
        ck_assert_int_eq(max, 127);
        ck_assert(g.out.residual_multiplier[o] == 0);
    }
    for (int c = 0; c < IN; c++)
        ck_assert_int_eq(g.out.padding[c], 20 * c);
    quantize_destroy(&g.out);
}
END_TEST

/* Bytes at random through the integer sum, the factors and requantize(), against the sum of the
 * numbers that the bytes stand for. */
static void check_bytes(const struct layer *of, float gate)
{
    struct given g;
    uint64_t state = 11;
    make(&g);
    int code = quantize_layer(of, g.weights, g.bias, NULL, &g.x, &g.y, &g.residual, &g.out, NULL);
    ck_assert_int_eq(code, ERR_OK);
    ck_assert((g.out.gated_offset != NULL) == (of->gate != 0));
    for (int o = 0; o < OUT; o++) {
        double step = (double)g.out.multiplier[o] * g.y_scale[o];
        uint8_t residual = (uint8_t)random_next(&state);
        double exact = g.bias[o], slack = 0;
        int32_t sum = 0;
        for (int i = 0; i < EACH; i++) {
            int c = input_of(o, i);
            uint8_t byte = (uint8_t)(g.x_zero[c] + (float)(random_next(&state) % 40));
            double steps = (double)byte - g.x_zero[c];
            sum += byte * g.out.quantized[o * EACH + i];
            exact += steps * g.x_scale[c] * g.weights[o * EACH + i];
            slack += 0.5 * step * fabs(steps);
        }
        exact = exact * gate + g.r_scale[o] * ((double)residual - g.r_zero[o]);
        double right = exact / g.y_scale[o] + g.y_zero[o];
        right = fmin(fmax(right, 0), 255);
        struct requantization f = requantization_of(&g.out, (size_t)o);
        uint8_t byte = requantize(sum, of->gate ? requantization_gated(f, gate) : f, residual);
        ck_assert_double_le(fabs(byte - right), 0.501 + slack / g.y_scale[o]);
    }
    quantize_destroy(&g.out);
}

START_TEST(a_byte_stands_for_the_sum)
{
    check_bytes(&layer, 1);
}
END_TEST

/* A gate multiplies the sum and the bias, but neither the residual nor y's zero point. */
START_TEST(a_byte_stands_for_the_gated_sum)
{
    static const float gates[] = {0, 0.25F, 0.7F, 1};
    struct layer gated = layer;
    gated.gate = 1;
    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++)
        check_bytes(&gated, gates[i]);
}
END_TEST

START_TEST(logits_are_numbers)
{
    struct given g;
    make(&g);
    ck_assert_int_eq(
        quantize_layer(&layer, g.weights, g.bias, NULL, &g.x, NULL, NULL, &g.out, NULL), ERR_OK);
    for (int o = 0; o < OUT; o++) { /* all inputs 0: what is left is the bias */
        double sum = 0;
        for (int i = 0; i < EACH; i++)
            sum += (double)g.out.quantized[o * EACH + i] * g.x_zero[input_of(o, i)];
        double logit = sum * g.out.multiplier[o] + g.out.offset[o];
        ck_assert_double_eq_tol(logit, g.bias[o], 1e-4);
    }
    quantize_destroy(&g.out);
}
END_TEST

/* With inputs at their means an output is exact, whatever its weights were rounded to. */
START_TEST(the_mean_gives_back_what_rounding_takes)
{
    struct given g;
    make(&g);
    double off[2] = {0, 0};
    for (int with = 0; with < 2; with++) {
        g.x.mean = with ? g.x_mean : NULL;
        int code = quantize_layer(&layer, g.weights, g.bias, NULL, &g.x, NULL, NULL, &g.out, NULL);
        ck_assert_int_eq(code, ERR_OK);
        for (int o = 0; o < OUT; o++) {
            double exact = g.bias[o], sum = g.out.offset[o];
            for (int i = 0; i < EACH; i++) {
                int c = input_of(o, i);
                exact += (double)g.weights[o * EACH + i] * g.x_mean[c];
                sum += (double)g.out.quantized[o * EACH + i] * g.out.multiplier[o] *
                       (g.x_mean[c] / (double)g.x_scale[c] + g.x_zero[c]);
            }
            off[with] = fmax(off[with], fabs(exact - sum));
        }
        quantize_destroy(&g.out);
    }
    ck_assert_double_gt(off[0], 1e-3);
    ck_assert_double_lt(off[1], 1e-4);
}
END_TEST

START_TEST(nothing_but_zeros_is_fine)
{
    struct given g;
    make(&g);
    for (int i = 0; i < WEIGHTS; i++)
        g.weights[i] = i % 2 ? 0 : FLT_MIN / 1024;
    ck_assert_int_eq(
        quantize_layer(&layer, g.weights, g.bias, NULL, &g.x, &g.y, NULL, &g.out, NULL), ERR_OK);
    for (int i = 0; i < WEIGHTS; i++)
        ck_assert_int_eq(g.out.quantized[i], 0);
    quantize_destroy(&g.out);
}
END_TEST

START_TEST(what_float32_cannot_hold_is_refused)
{
    struct given g;
    struct error err;
    for (int kind = 0; kind < 4; kind++) {
        make(&g);
        g.weights[5] = kind == 0 ? FLT_MAX : g.weights[5];
        g.x_scale[0] = kind == 0 ? 1e12F : g.x_scale[0];
        g.bias[3] = kind == 1 ? FLT_MAX : g.bias[3];
        g.y_scale[1] = kind == 2 ? FLT_TRUE_MIN : g.y_scale[1];
        g.weights[7] = kind == 3 ? 1e34F : g.weights[7]; /* times a sum */
        int code = quantize_layer(&layer, g.weights, g.bias, NULL, &g.x, &g.y, NULL, &g.out, &err);
        ck_assert_msg(code == ERR_MODEL_UNSUPPORTED, "kind %d: %d", kind, code);
        ck_assert_ptr_nonnull(strstr(err.message, "some.conv"));
    }
}
END_TEST

/* Inputs of 255 and weights of 63, which two of either sign in a quad become: so many of them are
 * the most that a sum of 32 bits holds. */
START_TEST(sums_that_int32_cannot_hold_are_refused)
{
    enum { MAX = INT32_MAX / (255 * 63), CHANNELS = MAX + 1 };
    static float weights[CHANNELS], ones[CHANNELS], zeros[CHANNELS];
    const struct quantization x = {ones, zeros, NULL};
    const float bias = 0;
    struct conv_weights out;
    struct error err;
    struct layer wide = {.kind = LAYER_LINEAR,
                         .name = "wide",
                         .shape = {1, 1, MAX, 1, 1, 1, 1, 1, 0, 1},
                         .residual = LAYER_NO_VALUE};
    for (int i = 0; i < CHANNELS; i++) {
        weights[i] = i % 2 ? -0.5F : 0.5F;
        ones[i] = 1;
    }
    ck_assert_int_eq(quantize_layer(&wide, weights, &bias, NULL, &x, NULL, NULL, &out, NULL),
                     ERR_OK);
    quantize_destroy(&out);
    wide.shape.in_c = CHANNELS;
    int code = quantize_layer(&wide, weights, &bias, NULL, &x, NULL, NULL, &out, &err);
    ck_assert_int_eq(code, ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "wide"));
}
END_TEST

/* The largest sum of weights of one sign in a quad of struct conv_weights. */
static int largest_quad(const int8_t *weights, int in)
{
    int max = 0;
    for (int q = 0; q < (in + 7) / 8 * 2; q++) {
        int more = 0, less = 0;
        for (int c = q / 2 * 8; c < q / 2 * 8 + 8 && c < in; c++)
            if (c / 2 % 2 == q % 2)
                *(weights[c] > 0 ? &more : &less) += abs(weights[c]);
        max = more > max ? more : max;
        max = less > max ? less : max;
    }
    return max;
}

START_TEST(quads_of_1x1_kernels_fit_16_bits)
{
    enum { CHANNELS = 21, OUTPUTS = 64 };
    float weights[CHANNELS * OUTPUTS], scale[CHANNELS], zero[CHANNELS] = {0}, bias[OUTPUTS] = {0};
    struct layer l = {.kind = LAYER_CONV,
                      .name = "l",
                      .shape = {1, 1, CHANNELS, 1, 1, OUTPUTS, 1, 1, 0, 1},
                      .residual = LAYER_NO_VALUE};
    struct conv_weights out;
    uint64_t seed = 3;
    random_floats(&seed, weights, CHANNELS * OUTPUTS);
    for (int c = 0; c < CHANNELS; c++) {
        scale[c] = 1 + (float)(c % 3);
        weights[c] = 1 / scale[c]; /* 31.5 steps each, which may be rounded up */
        weights[CHANNELS + c] = c == CHANNELS - 1 ? -1 : 0;
    }
    const struct quantization x = {scale, zero, NULL};
    ck_assert_int_eq(quantize_layer(&l, weights, bias, NULL, &x, NULL, NULL, &out, NULL), ERR_OK);
    for (int o = 0; o < OUTPUTS; o++) {
        const int8_t *q = out.quantized + o * CHANNELS;
        int quad = largest_quad(q, CHANNELS);
        for (int c = 0; c < CHANNELS; c++) {
            double exact = (double)weights[o * CHANNELS + c] * scale[c];
            ck_assert_double_le(fabs(q[c] * (double)out.multiplier[o] - exact),
                                0.5001 * out.multiplier[o]);
        }
        ck_assert_int_le(quad, CONV_QUAD_LIMIT);
        ck_assert_int_ge(quad, CONV_QUAD_LIMIT - 4);
    }
    quantize_destroy(&out);
}
END_TEST

static int bit(const uint8_t *bits, int i)
{
    return bits[i / 8] >> i % 8 & 1;
}

START_TEST(weights_are_rounded_as_told)
{
    struct given g;
    uint8_t bits[WEIGHTS / 8 + 1];
    double exact[EACH];
    uint64_t state = 5;
    make(&g);
    for (size_t i = 0; i < sizeof bits; i++)
        bits[i] = (uint8_t)(random_next(&state) >> 56);
    ck_assert_int_eq(
        quantize_layer(&layer, g.weights, g.bias, bits, &g.x, &g.y, NULL, &g.out, NULL), ERR_OK);
    for (int o = 0; o < OUT; o++) {
        double step = (double)g.out.multiplier[o] * g.y_scale[o], shift = 0;
        ck_assert(quantize_exactly(&layer, g.weights, &g.x, (size_t)o, exact));
        for (int i = 0; i < EACH; i++) {
            int at = o * EACH + i, c = input_of(o, i), told = (int)floor(exact[i]) + bit(bits, at);
            ck_assert_double_eq_tol(exact[i] * step, (double)g.weights[at] * g.x_scale[c],
                                    1e-5 * step * 127);
            ck_assert_int_eq(g.out.quantized[at], told > 127 ? 127 : told < -127 ? -127 : told);
            shift += g.out.quantized[at] * (double)g.x_zero[c] * step;
        }
        ck_assert_double_eq_tol(g.out.offset[o], (g.bias[o] - shift) / g.y_scale[o] + g.y_zero[o],
                                1e-3);
    }
    quantize_destroy(&g.out);
}
END_TEST

/* Whatever bits a file has. */
START_TEST(any_rounding_of_1x1_kernels_fits_16_bits)
{
    enum { CHANNELS = 21, OUTPUTS = 64, BYTES = CHANNELS * OUTPUTS / 8 };
    float weights[CHANNELS * OUTPUTS], scale[CHANNELS], zero[CHANNELS] = {0}, bias[OUTPUTS] = {0};
    struct layer l = {.kind = LAYER_CONV,
                      .name = "l",
                      .shape = {1, 1, CHANNELS, 1, 1, OUTPUTS, 1, 1, 0, 1},
                      .residual = LAYER_NO_VALUE};
    const struct quantization x = {scale, zero, NULL};
    uint64_t state = 3;
    random_floats(&state, weights, CHANNELS * OUTPUTS);
    for (int c = 0; c < CHANNELS; c++) {
        scale[c] = 1;
        weights[c] = 1;             /* 31 steps each, whole: a bit adds all of one */
        weights[CHANNELS + c] = -1; /* the floor may be further away than half a step */
        weights[2 * CHANNELS + c] = 0;
    }
    for (int all = 0; all < 2; all++) {
        uint8_t bits[BYTES];
        struct conv_weights out;
        int largest = 0;
        memset(bits, all ? 255 : 0, sizeof bits);
        ck_assert_int_eq(quantize_layer(&l, weights, bias, bits, &x, NULL, NULL, &out, NULL),
                         ERR_OK);
        for (int o = 0; o < OUTPUTS; o++) {
            int quad = largest_quad(out.quantized + o * CHANNELS, CHANNELS);
            ck_assert_int_le(quad, CONV_QUAD_LIMIT);
            largest = quad > largest ? quad : largest;
        }
        ck_assert_int_ge(largest, CONV_QUAD_LIMIT - 3);
        quantize_destroy(&out);
    }
}
END_TEST

/* The largest weights are 127 steps, or a little more: the step is rounded to a float. */
START_TEST(a_rounding_cannot_leave_a_byte)
{
    enum { KERNELS = 50 };
    float weights[KERNELS * TAPS], scale = 0.37F, zero = 0, bias[KERNELS] = {0};
    struct layer l = layer;
    uint8_t bits[KERNELS * TAPS / 8 + 1];
    const struct quantization x = {&scale, &zero, NULL};
    l.shape.in_c = l.shape.groups = 1;
    l.shape.out_c = KERNELS;
    for (int i = 0; i < KERNELS * TAPS; i++)
        weights[i] = (i % 2 ? -0.1F : 0.1F) * (float)(i / TAPS + 3);
    for (int all = 0; all < 2; all++) {
        struct conv_weights out;
        memset(bits, all ? 255 : 0, sizeof bits);
        ck_assert_int_eq(quantize_layer(&l, weights, bias, bits, &x, NULL, NULL, &out, NULL),
                         ERR_OK);
        for (int i = 0; i < KERNELS * TAPS; i++)
            ck_assert_int_ge(abs(out.quantized[i]), 126);
        for (int i = 0; i < KERNELS * TAPS; i++)
            ck_assert_int_eq(out.quantized[i] > 0, i % 2 == 0);
        quantize_destroy(&out);
    }
}
END_TEST

START_TEST(no_output_is_beyond_its_reach)
{
    enum { INPUTS = 4, OUTPUTS = 2 };
    const struct conv_shape shape = {1, 1, INPUTS, 1, 1, OUTPUTS, 1, 1, 0, 1};
    const int8_t quantized[OUTPUTS * INPUTS] = {1, -2, 0, 5, -3, -4, 0, 0};
    const float multiplier[] = {0.5F, 2}, offset[] = {-10, 3}, residual[] = {0.25F, 1.5F};
    const float gated[] = {-7, 0};
    struct conv_weights w = {.quantized = quantized,
                             .multiplier = multiplier,
                             .offset = offset,
                             .residual_multiplier = residual};
    ck_assert_double_eq(quantize_output_reach(&shape, &w, 255), 2 * 7 * 255 + 3 + 1.5 * 255);
    ck_assert_double_eq(quantize_output_reach(&shape, &w, 0), 2 * 7 * 255 + 3);
    ck_assert_double_eq(quantize_output_reach(&shape, &w, 1e6), 2 * 7 * 255 + 3 + 1.5e6);
    w.residual_multiplier = NULL;
    w.gated_offset = gated;
    w.multiplier = residual; /* the second is 1.5 */
    ck_assert_double_eq(quantize_output_reach(&shape, &w, 255), 1.5 * 7 * 255 + 3);
    const float small[] = {2, 0};
    w.multiplier = small;
    ck_assert_double_eq(quantize_output_reach(&shape, &w, 255), 2 * 8 * 255 + 10 + 7);
}
END_TEST

TEST_MAIN("nn/quantize", 10, weights_are_within_half_a_step, a_byte_stands_for_the_sum,
          a_byte_stands_for_the_gated_sum, logits_are_numbers,
          the_mean_gives_back_what_rounding_takes, nothing_but_zeros_is_fine,
          what_float32_cannot_hold_is_refused, quads_of_1x1_kernels_fit_16_bits,
          sums_that_int32_cannot_hold_are_refused, weights_are_rounded_as_told,
          any_rounding_of_1x1_kernels_fits_16_bits, a_rounding_cannot_leave_a_byte,
          no_output_is_beyond_its_reach)
