/* Pillow's resize of 8-bit pictures (libImaging/Resample.c): each direction by itself, a filter
 * whose support grows with the reduction, weights in fixed point, rounding to 8 bits after each
 * pass. Only the outputs that a crop keeps are computed. */
#ifndef RESNEXT_IMAGE_RESIZE_H
#define RESNEXT_IMAGE_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "image/buffer.h"
#include "image/preprocess.h"

/* Fraction bits of a weight. */
enum { RESIZE_WEIGHT_BITS = 22 };

/* What one direction does: `in_size` pixels become `out_size`, of which `count` from `offset` on
 * are wanted. 1 <= in_size <= 65535, 1 <= out_size < 2^30, 0 <= offset <= out_size - count. */
struct resize_shape {
    int in_size, out_size, offset, count;
    enum interpolation interpolation;
};

/* Inputs first .. first + taps - 1 make an output. Both ends grow with the output. */
struct resize_span {
    int first, taps;
};

/* The plan of one direction; zeroed, it is empty. Kept while the shape stays the same. */
struct resize_axis {
    struct resize_shape shape;
    int max_taps;
    struct buffer spans;   /* struct resize_span [count] */
    struct buffer weights; /* int32_t [count][max_taps] */
    struct buffer exact;   /* double [max_taps], while planning */
};

/* Makes the plan for `shape`. ERR_NO_MEMORY leaves the axis empty. */
int resize_axis_plan(struct resize_axis *axis, const struct resize_shape *shape, struct error *err);

/* Gives back tables of more than `limit` bytes. */
void resize_axis_trim(struct resize_axis *axis, size_t limit);
void resize_axis_free(struct resize_axis *axis);

const struct resize_span *resize_axis_spans(const struct resize_axis *axis);

/* One row: in_size pixels of 4 bytes (R, G, B, unused) to count pixels of 3. */
void resize_horizontal(const struct resize_axis *axis, const uint8_t *rgbx, uint8_t *rgb);

/* Output row `index` of `bytes` bytes from rows of as many; row y of the input is at
 * ring + (y % ring_rows) * bytes, and ring_rows >= max_taps. */
void resize_vertical(const struct resize_axis *axis, int index, const uint8_t *ring, int ring_rows,
                     size_t bytes, uint8_t *out);

#endif
