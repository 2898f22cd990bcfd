#include <string.h>

#include "base/size.h"
#include "kernel/openblas/openblas.h"
#include "kernel/openblas/planes.h"

/* Winograd's F(4, 3) along columns. Tiles of 4 lines of outputs are made from 6 lines of inputs,
 * which overlap: they are transformed to 6 others, weights from 3 rows to 6, and 6 sums of their
 * products to the tile's outputs, 6 multiplications for 12. Rounding errors are some 2.4 times
 * those of the sums as they are written, which is little beside those of a network's other layers.
 *
 * The inputs under a block of rows of tiles become planes, those of a group are transformed, a set
 * for each kernel column, and each of the 6 is a product of [out][kx, in] by [kx, in][pixels].
 *
 * A tile of the kernel's work is a chunk of a block. Packed: weights [group][matrix][kx][in][out],
 * in and out within the group; bias [out_c]; the pixel outside the image [in_c]; some floats that
 * may be read.
 *
 * Source: Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308, 4.3. */

enum { TAPS = WINOGRAD_TAPS, LEAST_PIXELS = 128, BLOCK_PIXELS = 784, CACHE_LINE = 64 };

struct layout {
    size_t d_in, d_out;
    size_t groups, chunks; /* groups of a chunk, but the last may have fewer */
    size_t width;          /* of the image */
    size_t down;           /* rows of tiles of the image */
    size_t rows, blocks;   /* of a block, but the last may have fewer */
    size_t pixels;         /* under a block, with padding */
    size_t input, plane,
        output; /* floats from a plane to the next: as it is, transformed, of outputs */
};

static struct layout layout_of(const struct conv_shape *s)
{
    struct layout l = {
        .d_in = (size_t)(s->in_c / s->groups),
        .d_out = (size_t)(s->out_c / s->groups),
        .groups = planes_chunk(s),
        .width = (size_t)s->out_w,
        .down = size_ceil_div((size_t)s->out_h, WINOGRAD_OUT),
    };
    size_t tile = l.width * WINOGRAD_OUT;
    l.chunks = size_ceil_div((size_t)s->groups, l.groups);
    l.rows = tile < BLOCK_PIXELS ? BLOCK_PIXELS / tile : 1;
    l.blocks = size_ceil_div(l.down, l.rows);
    l.rows = size_ceil_div(l.down, l.blocks);
    l.blocks = size_ceil_div(l.down, l.rows);
    l.pixels =
        size_round_up((l.rows * WINOGRAD_OUT + TAPS - 1) * (l.width + TAPS - 1), PLANES_LANES);
    l.input = planes_step(l.pixels + PLANES_LANES);
    l.plane = planes_step(l.rows * l.width + PLANES_LANES);
    l.output = planes_step(l.rows * WINOGRAD_OUT * l.width + PLANES_LANES);
    return l;
}

/* Few pixels do not pay for twice the weights to read. */
bool blas_winograd_supports(const struct conv_shape *s)
{
    return s->groups > 1 && s->kernel == TAPS && s->stride == 1 &&
           (int64_t)s->out_w * s->out_h >= LEAST_PIXELS;
}

static size_t weight_count(const struct conv_shape *s)
{
    return conv_weight_count(s) / TAPS * WINOGRAD_IN;
}

static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return (weight_count(s) + (size_t)s->out_c + (size_t)s->in_c + PLANES_LANES) * sizeof(float);
}

/* Three weights of a kernel column, `step` floats apart, to number 0 of each matrix. */
static void pack_column(const float *weights, size_t matrix, float *to)
{
    double a = weights[0], b = weights[TAPS], c = weights[2 * TAPS];
    const double out[WINOGRAD_IN] = {
        a / 4, -(a + b + c) / 6, -(a - b + c) / 6, a / 24 + b / 12 + c / 6, a / 24 - b / 12 + c / 6,
        c};
    for (size_t m = 0; m < WINOGRAD_IN; m++)
        to[m * matrix] = (float)out[m];
}

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    (void)self;
    size_t in = (size_t)(s->in_c / s->groups), out = (size_t)(s->out_c / s->groups);
    size_t matrix = TAPS * in * out;
    float *to = packed;
    for (size_t o = 0; o < (size_t)s->out_c; o++)
        for (size_t i = 0; i < in; i++)
            for (size_t kx = 0; kx < TAPS; kx++)
                pack_column(weights->weights + (o * in + i) * TAPS * TAPS + kx, matrix,
                            to + o / out * WINOGRAD_IN * matrix + (kx * in + i) * out + o % out);
    to += weight_count(s);
    memcpy(to, weights->bias, (size_t)s->out_c * sizeof *to);
    memset(to + s->out_c, 0, ((size_t)s->in_c + PLANES_LANES) * sizeof *to);
}

static int tile_count(const struct conv_kernel *self, const struct conv_shape *s, int images)
{
    (void)self;
    struct layout l = layout_of(s);
    return (int)(l.blocks * l.chunks) * images;
}

/* The working set of a call. */
struct work {
    const struct planes_leaf *leaf;
    const struct conv_call *call;
    struct layout layout;
    const float **pixels; /* [line][width and padding], channel 0 */
    size_t *planes_at;    /* [channel of the chunk] */
    float *inputs;        /* [group][d_in][input] */
    float *transformed;   /* [matrix][kx][d_in][plane] */
    float *sums;          /* [matrix][d_out][rows][width] */
    float *outputs;       /* [group][d_out][output] */
};

/* Points into `scratch`; returns the bytes that are needed. */
static size_t place(struct work *w, void *scratch)
{
    const struct layout *l = &w->layout;
    size_t at = 0, outputs = size_round_up(l->groups * l->d_out, PLANES_LANES);
    w->pixels = planes_take(&at, scratch, l->pixels * sizeof *w->pixels);
    w->planes_at = planes_take(&at, scratch, l->groups * l->d_in * sizeof *w->planes_at);
    w->inputs = planes_take(&at, scratch, l->groups * l->d_in * l->input * sizeof *w->inputs);
    w->transformed =
        planes_take(&at, scratch, WINOGRAD_IN * TAPS * l->d_in * l->plane * sizeof *w->transformed);
    w->sums = planes_take(&at, scratch, WINOGRAD_IN * l->d_out * l->plane * sizeof *w->sums);
    w->outputs = planes_take(&at, scratch, outputs * l->output * sizeof *w->outputs);
    return at;
}

static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    static unsigned char nowhere[1];
    struct work w = {.layout = layout_of(s)};
    return place(&w, nowhere);
}

/* The pixels under the block whose first line of outputs is `first`. */
static void list_pixels(const struct work *w, size_t image, size_t first)
{
    const struct conv_shape *s = w->call->shape;
    const struct layout *l = &w->layout;
    const float *zeros = (const float *)w->call->packed + weight_count(s) + s->out_c;
    const float *x =
        (const float *)w->call->x + image * (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
    const float **to = w->pixels, **end = to + l->pixels;
    for (size_t line = 0; line < l->rows * WINOGRAD_OUT + TAPS - 1; line++)
        to = planes_list_line(to, s, x, zeros, (int)(first + line) - s->pad, -s->pad, 1,
                              l->width + TAPS - 1);
    while (to < end)
        *to++ = zeros;
}

/* The outputs of group `g` of the chunk. */
static void multiply(const struct work *w, const float *weights, size_t g, size_t rows)
{
    const struct layout *l = &w->layout;
    size_t k = TAPS * l->d_in, pixels = rows * l->width;
    w->leaf->winograd_inputs(&(struct winograd_planes){
        .rows = rows,
        .width = l->width,
        .line = l->width + TAPS - 1,
        .channels = l->d_in,
        .from = w->inputs + g * l->d_in * l->input,
        .from_plane = l->input,
        .to = w->transformed,
        .to_plane = l->plane,
        .to_matrix = k * l->plane,
    });
    for (size_t i = 0; i < WINOGRAD_IN * k * l->d_out; i += CACHE_LINE / sizeof *weights)
        __builtin_prefetch(weights + l->groups * WINOGRAD_IN * k * l->d_out + i, 0, 2);
    for (size_t m = 0; m < WINOGRAD_IN; m++)
        blas_multiply(l->d_out, pixels, k, weights + m * k * l->d_out,
                      w->transformed + m * k * l->plane, l->plane, false,
                      w->sums + m * l->d_out * pixels, pixels);
    w->leaf->winograd_outputs(&(struct winograd_planes){
        .rows = rows,
        .width = l->width,
        .channels = l->d_out,
        .from = w->sums,
        .from_plane = pixels,
        .from_matrix = l->d_out * pixels,
        .to = w->outputs + g * l->d_out * l->output,
        .to_plane = l->output,
    });
}

/* A chunk of the block whose first line of outputs is `first`. */
static void run_chunk(const struct work *w, size_t chunk, size_t image, size_t first)
{
    const struct conv_call *call = w->call;
    const struct conv_shape *s = call->shape;
    const struct layout *l = &w->layout;
    size_t group = chunk * l->groups, left = (size_t)s->groups - group;
    size_t groups = left < l->groups ? left : l->groups, channel = group * l->d_out;
    size_t lines = (size_t)s->out_h - first;
    if (lines > l->rows * WINOGRAD_OUT)
        lines = l->rows * WINOGRAD_OUT;
    const float *weights = call->packed;
    w->leaf->to(&(struct to_planes){
        .pixels = w->pixels,
        .width = 1,
        .count = l->pixels,
        .channel = group * l->d_in,
        .channels = groups * l->d_in,
        .at = w->planes_at,
        .copies = 1,
        .copy = {{.planes = w->inputs}},
    });
    for (size_t g = 0; g < groups; g++)
        multiply(w, weights + (group + g) * WINOGRAD_IN * TAPS * l->d_in * l->d_out, g,
                 size_ceil_div(lines, WINOGRAD_OUT));
    w->leaf->from(&(struct from_planes){
        .planes = w->outputs,
        .plane = l->output,
        .count = lines * l->width,
        .channels = groups * l->d_out,
        .finish = {.factors = weights + weight_count(s) + channel,
                   .residual = call->residual,
                   .y = call->y,
                   .relu = call->relu},
        .at = (image * (size_t)s->out_h + first) * l->width * (size_t)s->out_c + channel,
        .pixel = (size_t)s->out_c,
    });
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    struct work w = {.leaf = self->own, .call = call, .layout = layout_of(call->shape)};
    const struct layout *l = &w.layout;
    size_t end = (size_t)call->tile_end;
    place(&w, call->scratch);
    for (size_t c = 0; c < l->groups * l->d_in; c++)
        w.planes_at[c] = c * l->input;
    for (size_t t = (size_t)call->tile_begin, listed = SIZE_MAX; t < end; t++) {
        size_t first = t / l->chunks % l->blocks * l->rows * WINOGRAD_OUT,
               image = t / l->chunks / l->blocks;
        if (t / l->chunks != listed)
            list_pixels(&w, image, first);
        listed = t / l->chunks;
        run_chunk(&w, t % l->chunks, image, first);
    }
}

const struct conv_method blas_winograd_method = {
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = tile_count,
    .scratch_size = scratch_size,
    .run = run,
    .room = blas_room,
    .library = blas_library,
};
