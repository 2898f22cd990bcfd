/* Pillow's resize of 8-bit pictures (libImaging/Resample.c): each direction by itself, a filter
 * whose support grows with the reduction, weights in fixed point, rounding to 8 bits after each
 * pass. Only the outputs that a crop keeps are computed. */
#ifndef RESNEXT_IMAGE_RESIZE_H
#define RESNEXT_IMAGE_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/buffer.h"
#include "image/preprocess.h"

/* Fraction bits of a weight, and how many bits its low part has. */
enum { RESIZE_WEIGHT_BITS = 22, RESIZE_LOW_BITS = 11 };

/* What one direction does: of `in_size` pixels the part from `start` to `end` becomes `out_size`
 * pixels, of which `count` from `offset` on are wanted. The part is all, 0 to in_size, except where
 * the outermost pixels stand for less than a whole one. 1 <= in_size <= 65535, 0 <= start < 1,
 * in_size - 1 < end <= in_size, start < end, 1 <= out_size < 2^30, 0 <= offset <= out_size - count.
 */
struct resize_shape {
    int in_size;
    double start, end;
    int out_size, offset, count;
    bool mirrored; /* the input is given backwards, from its end to its start */
    enum interpolation interpolation;
};

/* Inputs first .. first + taps - 1 (counted as they are given) make an output. Spans are in the
 * order of the input: both ends grow from one to the next. */
struct resize_span {
    int first, taps;
};

/* Weights come in groups of four taps, missing ones with weight 0, so that the passes need no other
 * steps. They may read so many bytes past the last pixel of a row (two groups at once), or rows
 * past the last one, but what is there does not count. */
enum { RESIZE_GROUP = 4, RESIZE_SLACK_BYTES = 4 * (2 * RESIZE_GROUP - 1), RESIZE_SLACK_ROWS = 3 };

/* The plan of one direction; zeroed, it is empty. Kept while the shape stays the same. */
struct resize_axis {
    struct resize_shape shape;
    int max_taps, max_groups;
    struct buffer spans;   /* struct resize_span [count] */
    struct buffer weights; /* int16_t [count][max_groups][2 * RESIZE_GROUP], see resize.c */
    struct buffer exact;   /* double [max_taps], while planning */
};

/* Makes the plan for `shape`. ERR_NO_MEMORY leaves the axis empty. */
int resize_axis_plan(struct resize_axis *axis, const struct resize_shape *shape, struct error *err);

/* Gives back tables of more than `limit` bytes. */
void resize_axis_trim(struct resize_axis *axis, size_t limit);
void resize_axis_free(struct resize_axis *axis);

const struct resize_span *resize_axis_spans(const struct resize_axis *axis);

/* Which of the wanted outputs span `index` makes: itself, or counted from the end if mirrored. */
int resize_axis_output(const struct resize_axis *axis, int index);

/* One row: in_size pixels of 4 bytes (R, G, B, unused) to count pixels of 3. */
void resize_horizontal(const struct resize_axis *axis, const uint8_t *rgbx, uint8_t *rgb);

/* What span `index` makes, `bytes` bytes. `rows` is the first row of its span, the others follow
 * `stride` bytes apart: `bytes`, or more, rounded up to a multiple of RESIZE_BLOCK. */
enum { RESIZE_BLOCK = 16 };
void resize_vertical(const struct resize_axis *axis, int index, const uint8_t *rows, size_t stride,
                     size_t bytes, uint8_t *out);

#endif
