#include "image/resize.h"

#include <string.h>

#include "base/size.h"
#include "tests/suite.h"

static struct resize_axis plan(int in_size, int out_size, enum interpolation interpolation)
{
    struct resize_axis axis = {0};
    const struct resize_shape shape = {.in_size = in_size,
                                       .end = in_size,
                                       .out_size = out_size,
                                       .count = out_size,
                                       .interpolation = interpolation};
    ck_assert_int_eq(resize_axis_plan(&axis, &shape, NULL), ERR_OK);
    return axis;
}

START_TEST(the_support_grows_with_the_reduction)
{
    static const struct {
        int in_size, out_size;
        enum interpolation interpolation;
        int output, first, taps;
    } cases[] = {
        {8, 8, INTERPOLATION_BILINEAR, 3, 3, 2},    {8, 4, INTERPOLATION_BILINEAR, 1, 1, 4},
        {8, 4, INTERPOLATION_BILINEAR, 0, 0, 3},    {8, 4, INTERPOLATION_BICUBIC, 1, 0, 7},
        {80, 4, INTERPOLATION_BILINEAR, 3, 50, 30}, {4, 8, INTERPOLATION_BILINEAR, 7, 3, 1},
        {1, 9, INTERPOLATION_BICUBIC, 4, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct resize_axis axis = plan(cases[i].in_size, cases[i].out_size, cases[i].interpolation);
        struct resize_span span = resize_axis_spans(&axis)[cases[i].output];
        ck_assert_msg(span.first == cases[i].first && span.taps == cases[i].taps,
                      "case %zu: %d taps from %d", i, span.taps, span.first);
        resize_axis_free(&axis);
    }
}
END_TEST

/* What the window of rows relies on. */
START_TEST(spans_move_forward_within_the_input)
{
    for (int in_size = 1; in_size < 70; in_size++) {
        for (int out_size = 1; out_size < 70; out_size++) {
            struct resize_axis axis = plan(in_size, out_size, INTERPOLATION_BICUBIC);
            const struct resize_span *spans = resize_axis_spans(&axis);
            for (int i = 0; i < out_size; i++) {
                int end = spans[i].first + spans[i].taps;
                ck_assert_int_ge(spans[i].first, i ? spans[i - 1].first : 0);
                ck_assert_int_ge(end, i ? spans[i - 1].first + spans[i - 1].taps : 1);
                ck_assert_int_le(end, in_size);
                ck_assert_int_le(spans[i].taps, axis.max_taps);
            }
            resize_axis_free(&axis);
        }
    }
}
END_TEST

START_TEST(flat_rows_stay_flat_and_extremes_do_not_wrap)
{
    enum { IN = 37, OUT = 113, TAPS = 5 };
    struct resize_axis axis = plan(IN, OUT, INTERPOLATION_BICUBIC);
    uint8_t row[IN * 4 + RESIZE_SLACK_BYTES], out[OUT * 3];
    static uint8_t rows[TAPS + RESIZE_SLACK_ROWS][128];
    for (int value = 0; value < 256; value++) {
        memset(row, value, sizeof row);
        resize_horizontal(&axis, row, out);
        for (int i = 0; i < OUT * 3; i++)
            ck_assert_int_eq(out[i], value);
    }
    for (int x = 0; x < IN; x++)
        memset(row + (ptrdiff_t)4 * x, x % 7 < 3 ? 255 : 0, 4);
    resize_horizontal(&axis, row, out);
    ck_assert_int_eq(out[3], 255);    /* overshoot, clipped */
    ck_assert_int_eq(out[3 * 15], 0); /* undershoot, clipped */
    ck_assert_int_eq(axis.max_taps, TAPS);
    memset(rows, 200, sizeof rows);
    ck_assert_uint_eq(size_round_up(OUT, RESIZE_BLOCK), sizeof rows[0]);
    resize_vertical(&axis, OUT - 1, rows[0], sizeof rows[0], OUT, out);
    ck_assert_mem_eq(out, rows, OUT);
    resize_axis_free(&axis);
}
END_TEST

/* Both passes are the same sums: a picture and its transpose must agree, whatever the width. */
static void check_passes(int out, enum interpolation interpolation, int groups)
{
    enum { IN = 50, MAX_OUT = 43, LINES = 100 };
    static uint8_t across[LINES][IN * 4 + RESIZE_SLACK_BYTES], down[IN][LINES * 3],
        from_across[LINES][MAX_OUT * 3];
    uint8_t from_down[LINES * 3];
    struct resize_axis axis = plan(IN, out, interpolation);
    uint32_t seed = 1;
    ck_assert_int_eq(axis.max_groups, groups);
    for (int line = 0; line < LINES; line++) {
        for (int i = 0; i < IN; i++) {
            for (int c = 0; c < 3; c++) {
                seed = seed * 1664525u + 1013904223u;
                across[line][4 * i + c] = down[i][3 * line + c] = (uint8_t)(seed >> 24);
            }
        }
        resize_horizontal(&axis, across[line], from_across[line]);
    }
    for (int width = 1; width <= LINES * 3; width += width < 140 ? 1 : 20) {
        static uint8_t rows[(IN + RESIZE_SLACK_ROWS) * (LINES * 3 + 15)];
        size_t stride = size_round_up((size_t)width, RESIZE_BLOCK);
        for (int i = 0; i < IN; i++)
            memcpy(rows + (size_t)i * stride, down[i], (size_t)width);
        for (int i = 0; i < out; i++) {
            const uint8_t *first = rows + (size_t)resize_axis_spans(&axis)[i].first * stride;
            resize_vertical(&axis, i, first, stride, (size_t)width, from_down);
            for (int x = 0; x < width; x++)
                ck_assert_int_eq(from_down[x], from_across[x / 3][3 * i + x % 3]);
        }
    }
    resize_axis_free(&axis);
}

START_TEST(the_passes_agree)
{
    check_passes(13, INTERPOLATION_BICUBIC, 4);
    check_passes(33, INTERPOLATION_BICUBIC, 2);
    check_passes(28, INTERPOLATION_BILINEAR, 1);
    check_passes(43, INTERPOLATION_BILINEAR, 1);
}
END_TEST

/* Not the same as mirroring the output: it is the reference's sums for the input as it was. */
static void check_backward(int in_size, enum interpolation interpolation)
{
    enum { OUT = 11, IN_MAX = 40 };
    struct resize_axis axis = plan(in_size, 17, interpolation), mirrored = {0};
    struct resize_shape shape = axis.shape;
    uint8_t row[IN_MAX * 4 + RESIZE_SLACK_BYTES] = {0}, backward[sizeof row] = {0};
    uint8_t want[OUT * 3], got[OUT * 3];
    ck_assert_int_le(in_size, IN_MAX);
    shape.offset = 4;
    shape.count = OUT;
    ck_assert_int_eq(resize_axis_plan(&axis, &shape, NULL), ERR_OK);
    shape.mirrored = true;
    ck_assert_int_eq(resize_axis_plan(&mirrored, &shape, NULL), ERR_OK);
    for (int x = 0; x < in_size; x++) {
        for (int c = 0; c < 3; c++)
            row[4 * x + c] = backward[4 * (in_size - 1 - x) + c] = (uint8_t)(x * x * 37 + c * 91);
    }
    resize_horizontal(&axis, row, want);
    resize_horizontal(&mirrored, backward, got);
    ck_assert_mem_eq(got, want, sizeof want);
    const struct resize_span *spans = resize_axis_spans(&mirrored);
    for (int i = 1; i < OUT; i++)
        ck_assert_int_ge(spans[i].first, spans[i - 1].first);
    resize_axis_free(&axis);
    resize_axis_free(&mirrored);
}

START_TEST(a_backward_input_gives_the_same_output)
{
    for (int in_size = 1; in_size <= 40; in_size++) {
        check_backward(in_size, INTERPOLATION_BILINEAR); /* of one group below 34 */
        check_backward(in_size, INTERPOLATION_BICUBIC);
    }
}
END_TEST

START_TEST(a_plan_is_kept_while_the_shape_stays)
{
    struct resize_axis axis = plan(100, 10, INTERPOLATION_BILINEAR);
    struct resize_shape shape = axis.shape;
    int16_t *weights = axis.weights.data;
    int16_t weight = weights[0];
    weights[0] = -7; /* to see whether it is made again */
    ck_assert_int_eq(resize_axis_plan(&axis, &shape, NULL), ERR_OK);
    ck_assert_int_eq(weights[0], -7);
    shape.interpolation = INTERPOLATION_BICUBIC;
    ck_assert_int_eq(resize_axis_plan(&axis, &shape, NULL), ERR_OK);
    shape.interpolation = INTERPOLATION_BILINEAR;
    ck_assert_int_eq(resize_axis_plan(&axis, &shape, NULL), ERR_OK);
    ck_assert_int_eq(((int16_t *)axis.weights.data)[0], weight);
    resize_axis_trim(&axis, 1 << 20);
    ck_assert_ptr_nonnull(axis.weights.data);
    resize_axis_trim(&axis, 100);
    ck_assert_ptr_null(axis.weights.data);
    ck_assert_int_eq(resize_axis_plan(&axis, &shape, NULL), ERR_OK);
    ck_assert_int_eq(((int16_t *)axis.weights.data)[0], weight);
    resize_axis_free(&axis);
}
END_TEST

START_TEST(each_member_of_the_shape_makes_another_plan)
{
    const struct resize_shape shape = {.in_size = 40, .end = 40, .out_size = 9, .count = 5};
    struct resize_shape others[] = {shape, shape, shape, shape, shape, shape, shape, shape};
    others[0].in_size = 41;
    others[1].start = 2;
    others[2].end = 39;
    others[3].out_size = 8;
    others[4].offset = 3;
    others[5].count = 6;
    others[6].mirrored = true;
    others[7].interpolation = INTERPOLATION_BICUBIC;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct resize_axis reused = {0}, fresh = {0};
        ck_assert_int_eq(resize_axis_plan(&reused, &shape, NULL), ERR_OK);
        ck_assert_int_eq(resize_axis_plan(&reused, &others[i], NULL), ERR_OK);
        ck_assert_int_eq(resize_axis_plan(&fresh, &others[i], NULL), ERR_OK);
        size_t spans = (size_t)others[i].count * sizeof(struct resize_span);
        ck_assert_mem_eq(reused.spans.data, fresh.spans.data, spans);
        ck_assert_int_eq(reused.shape.mirrored, fresh.shape.mirrored);
        resize_axis_free(&reused);
        resize_axis_free(&fresh);
    }
}
END_TEST

TEST_MAIN("image/resize", 60, the_support_grows_with_the_reduction,
          spans_move_forward_within_the_input, flat_rows_stay_flat_and_extremes_do_not_wrap,
          the_passes_agree, a_backward_input_gives_the_same_output,
          a_plan_is_kept_while_the_shape_stays, each_member_of_the_shape_makes_another_plan)
