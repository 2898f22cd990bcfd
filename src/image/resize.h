/* Pillow's resize of 8-bit pictures (libImaging/Resample.c): one pass per direction, a filter whose
 * support grows with the reduction, weights in fixed point, and rounding to 8 bits after each pass.
 * Only the outputs inside the crop are computed. */
#ifndef RESNEXT_IMAGE_RESIZE_H
#define RESNEXT_IMAGE_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/buffer.h"
#include "image/preprocess.h"

/* Fraction bits of a weight, and bits of its low part. */
enum { RESIZE_WEIGHT_BITS = 22, RESIZE_LOW_BITS = 11 };

/* One direction: the part of `in_size` pixels from `start` to `end` is resized to `out_size`
 * pixels, of which `count` are computed, from `offset` on. The part is 0 to in_size, unless the
 * outermost pixels count as less than a whole one. 1 <= in_size <= 65535, 0 <= start < 1, in_size -
 * 1 < end <= in_size, start < end, 1 <= out_size < 2^30, 0 <= offset <= out_size - count.
 */
struct resize_shape {
    int in_size;
    double start, end;
    int out_size, offset, count;
    bool mirrored; /* the input is in reverse order */
    enum interpolation interpolation;
};

/* The inputs of an output: first .. first + taps - 1, in the order in which they are given. Both
 * ends of the spans increase from one to the next. */
struct resize_span {
    int first, taps;
};

/* Weights come in groups of four taps; missing taps have weight 0, so that the passes need no
 * remainder loop. The passes may read RESIZE_SLACK_BYTES past the last pixel of a row (two groups
 * at once), or RESIZE_SLACK_ROWS past the last row, but do not use what is there. */
enum { RESIZE_GROUP = 4, RESIZE_SLACK_BYTES = 4 * (2 * RESIZE_GROUP - 1), RESIZE_SLACK_ROWS = 3 };

/* The plan of one direction; zeroed, it is empty. It is kept while the shape stays the same. */
struct resize_axis {
    struct resize_shape shape;
    int max_taps, max_groups;
    struct buffer spans;   /* struct resize_span [count] */
    struct buffer weights; /* int16_t [count][max_groups][2 * RESIZE_GROUP], see resize.c */
    struct buffer exact;   /* double [max_taps], while planning */
};

/* Makes the plan for `shape`. ERR_NO_MEMORY leaves the axis empty. */
int resize_axis_plan(struct resize_axis *axis, const struct resize_shape *shape, struct error *err);

/* Frees the tables if they have more than `limit` bytes. */
void resize_axis_trim(struct resize_axis *axis, size_t limit);
void resize_axis_free(struct resize_axis *axis);

const struct resize_span *resize_axis_spans(const struct resize_axis *axis);

/* The output of span `index`: `index`, or counted from the end if mirrored. */
int resize_axis_output(const struct resize_axis *axis, int index);

/* Resizes one row: in_size pixels of 4 bytes (R, G, B, unused) to count pixels of 3. */
void resize_horizontal(const struct resize_axis *axis, const uint8_t *rgbx, uint8_t *rgb);

/* Makes the output row of span `index`, `bytes` bytes. `rows` is the first row of the span. Rows
 * are `stride` bytes apart, a multiple of RESIZE_BLOCK and at least `bytes`. */
enum { RESIZE_BLOCK = 16 };
void resize_vertical(const struct resize_axis *axis, int index, const uint8_t *rows, size_t stride,
                     size_t bytes, uint8_t *out);

#endif
