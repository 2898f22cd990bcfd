#include <string.h>

#include "base/size.h"
#include "kernel/openblas/openblas.h"
#include "kernel/openblas/planes.h"

/* How it works. Groups are narrow (d = 4 in ResNeXt-50's first stage), pixels are many: vectors
 * must run along pixels. The channels of a chunk of groups, about a cache line of each pixel, are
 * transposed to planes for a block of output lines, with their padding. The lines are then copied
 * for each kernel column kx (a one-dimensional im2col): plane (kx, c) holds at [line][ox] the input
 * that meets column kx. With a stride, columns and lines that meet the same kernel columns and rows
 * are kept together, in `stride` phases.
 *
 * Kernel row ky meets these planes a whole number of lines further on. So a group's outputs are the
 * sum over ky of products of [out][kx, in] by [kx, in][pixels], all from the same copy. They are
 * transposed back by the epilogue.
 *
 * 3x3 kernels of stride 1 on wide maps take Winograd's F(4, 3) along columns instead. Tiles of 4
 * lines of outputs are made from 6 lines of inputs, which are transformed to 6 others while they
 * are copied, as three kernel rows are to six. The tile's outputs come from the 6 products: there
 * are 6 multiplications instead of 12. Rounding errors are about 4 times those of a product for
 * each row, and follow the largest numbers of a tile, not an output's own. Activations behind batch
 * norm and ReLU bear that: the logits of networks are as exact as before. Source: Lavin, Gray: Fast
 * Algorithms for Convolutional Neural Networks, arXiv 1509.09308, 4.3.
 *
 * A tile of the kernel's work is a chunk of a block. Packed: weights [group][matrix][kx][in][out],
 * in and out within the group, a matrix being a kernel row or a transformed one; bias [out_c]; the
 * pixel outside the image [in_c]; some floats that may be read. */

enum {
    BLOCK_PIXELS = 896,
    WINOGRAD_WIDTH =
        12, /* of a map, or more: narrower ones do not make up for reading twice the weights */
    CHUNK_CHANNELS = 16,
    CACHE_LINE = 64,
};

struct layout {
    size_t k, stride, width; /* width: of an output line */
    size_t d_in, d_out;
    size_t groups, chunks; /* groups of a chunk, but the last may have fewer */
    bool winograd;
    size_t matrices;
    size_t rows, blocks;          /* output lines of a block, but the last may have fewer */
    size_t lines, line;           /* input lines of a block, and of a line the pixels of a phase */
    size_t weights;               /* of all groups */
    size_t pixels;                /* of a plane of inputs */
    size_t input, copied, output; /* floats from a plane to the next */
};

/* `floats` rounded up to an odd number of cache lines, so that planes map to different sets. */
static size_t step_of(size_t floats)
{
    enum { LINE = CACHE_LINE / sizeof(float) };
    return (size_ceil_div(floats, LINE) | 1) * LINE;
}

static void cut_rows(const struct conv_shape *s, struct layout *l)
{
    size_t unit = l->winograd ? WINOGRAD_OUT : 1, out_h = (size_t)s->out_h;
    size_t max = BLOCK_PIXELS / (l->width * unit) * unit;
    l->blocks = size_ceil_div(out_h, max ? max : unit);
    l->rows = size_round_up(size_ceil_div(out_h, l->blocks), unit);
    l->blocks = size_ceil_div(out_h, l->rows);
}

static struct layout layout_of(const struct conv_shape *s)
{
    struct layout l = {
        .k = (size_t)s->kernel,
        .stride = (size_t)s->stride,
        .width = (size_t)s->out_w,
        .d_in = (size_t)(s->in_c / s->groups),
        .d_out = (size_t)(s->out_c / s->groups),
        .winograd = s->kernel == 3 && s->stride == 1 && s->pad <= 1 && s->out_w >= WINOGRAD_WIDTH,
    };
    l.groups = l.d_in < CHUNK_CHANNELS ? CHUNK_CHANNELS / l.d_in : 1;
    l.chunks = size_ceil_div((size_t)s->groups, l.groups);
    l.matrices = l.winograd ? WINOGRAD_IN : l.k;
    l.weights = (size_t)s->groups * l.matrices * l.k * l.d_in * l.d_out;
    cut_rows(s, &l);
    l.lines = (l.rows + (l.k - 1) / l.stride) * l.stride;
    l.line = l.width + (l.k - 1) / l.stride;
    l.pixels = size_round_up(l.stride * l.lines * l.line, PLANES_LANES);
    l.input = step_of(l.pixels + PLANES_LANES);
    l.copied = step_of((l.winograd ? l.rows / WINOGRAD_OUT : l.lines) * l.width + PLANES_LANES);
    l.output = step_of(l.rows * l.width + PLANES_LANES);
    return l;
}

bool blas_grouped_supports(const struct conv_shape *s)
{
    return s->groups > 1;
}

static size_t weights_of_group(const struct layout *l)
{
    return l->matrices * l->k * l->d_in * l->d_out;
}

static size_t blas_grouped_packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return (layout_of(s).weights + (size_t)s->out_c + (size_t)s->in_c + PLANES_LANES) *
           sizeof(float);
}

/* A kernel column of weights, from its first, to its element of each matrix. */
static void pack_column(const struct layout *l, const float *from, float *to)
{
    size_t matrix = l->k * l->d_in * l->d_out;
    if (!l->winograd) {
        for (size_t ky = 0; ky < l->k; ky++)
            to[ky * matrix] = from[ky * l->k];
        return;
    }
    double a = from[0], b = from[3], c = from[6];
    const double transformed[WINOGRAD_IN] = {
        a / 4, -(a + b + c) / 6, -(a - b + c) / 6, a / 24 + b / 12 + c / 6, a / 24 - b / 12 + c / 6,
        c};
    for (size_t m = 0; m < WINOGRAD_IN; m++)
        to[m * matrix] = (float)transformed[m];
}

static void blas_grouped_pack(const struct conv_kernel *self, const struct conv_shape *s,
                              const struct conv_weights *weights, void *packed)
{
    (void)self;
    struct layout l = layout_of(s);
    float *to = packed;
    for (size_t o = 0; o < (size_t)s->out_c; o++)
        for (size_t i = 0; i < l.d_in; i++)
            for (size_t kx = 0; kx < l.k; kx++)
                pack_column(&l, weights->weights + (o * l.d_in + i) * l.k * l.k + kx,
                            to + o / l.d_out * weights_of_group(&l) + (kx * l.d_in + i) * l.d_out +
                                o % l.d_out);
    to += l.weights;
    memcpy(to, weights->bias, (size_t)s->out_c * sizeof *to);
    memset(to + s->out_c, 0, ((size_t)s->in_c + PLANES_LANES) * sizeof *to);
}

static int blas_grouped_tile_count(const struct conv_kernel *self, const struct conv_shape *s,
                                   int images)
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
    const float **pixels; /* [phase][line][column], channel 0 */
    float *inputs;        /* [group][d_in][input] */
    float *copied;        /* [matrix, or 1][kx][d_in][copied] */
    float *sums;          /* [matrix][d_out][pixels], transformed; nothing without Winograd */
    float *outputs;       /* [group][d_out][output] */
};

static void *take(size_t *at, void *scratch, size_t bytes)
{
    void *taken = (unsigned char *)scratch + *at;
    *at += size_round_up(bytes, CACHE_LINE);
    return taken;
}

/* Points into `scratch`; returns the bytes that are needed. */
static size_t place(struct work *w, void *scratch)
{
    const struct layout *l = &w->layout;
    size_t at = 0, outputs = size_round_up(l->groups * l->d_out, PLANES_LANES);
    size_t matrices = l->winograd ? l->matrices : 1, sums = l->winograd ? l->d_out * matrices : 0;
    w->pixels = take(&at, scratch, l->pixels * sizeof *w->pixels);
    w->inputs = take(&at, scratch, l->groups * l->d_in * l->input * sizeof *w->inputs);
    w->copied = take(&at, scratch, matrices * l->k * l->d_in * l->copied * sizeof *w->copied);
    w->sums = take(&at, scratch, sums * l->copied * sizeof *w->sums);
    w->outputs = take(&at, scratch, outputs * l->output * sizeof *w->outputs);
    return at;
}

static size_t blas_grouped_scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    static unsigned char nowhere[1];
    struct work w = {.layout = layout_of(s)};
    return place(&w, nowhere);
}

/* The input pixels of the block of output lines from `first` on; zeros outside the image. */
static void list_pixels(const struct work *w, size_t image, size_t first)
{
    const struct conv_shape *s = w->call->shape;
    const struct layout *l = &w->layout;
    const float *zeros = (const float *)w->call->packed + l->weights + s->out_c;
    const float *x =
        (const float *)w->call->x + image * (size_t)s->in_h * (size_t)(s->in_w * s->in_c);
    const float **to = w->pixels, **end = to + l->pixels;
    size_t of_phase = l->lines / l->stride;
    for (size_t i = 0; i < l->stride * l->lines; i++) {
        size_t line = i % l->lines, y = first + line % of_phase;
        int row = (int)(y * l->stride + line / of_phase) - s->pad;
        int column = (int)(i / l->lines) - s->pad;
        bool inside = row >= 0 && row < s->in_h;
        for (size_t n = 0; n < l->line; n++, column += s->stride)
            *to++ = inside && column >= 0 && column < s->in_w
                        ? x + ((ptrdiff_t)row * s->in_w + column) * s->in_c
                        : zeros;
    }
    while (to < end)
        *to++ = zeros;
}

/* Copies the inputs of group `g` of the chunk for each kernel column, `rows` lines or tiles. */
static void blas_grouped_copy_inputs(const struct work *w, size_t g, size_t rows)
{
    const struct layout *l = &w->layout;
    for (size_t kx = 0; kx < l->k; kx++)
        (l->winograd ? w->leaf->transform_inputs : w->leaf->copy)(&(struct plane_lines){
            .channels = l->d_in,
            .rows = rows,
            .width = l->width,
            .from = w->inputs + g * l->d_in * l->input + kx % l->stride * l->lines * l->line +
                    kx / l->stride,
            .to = w->copied + kx * l->d_in * l->copied,
            .from_plane = l->input,
            .to_plane = l->copied,
            .line = l->line,
            .matrix = l->k * l->d_in * l->copied,
        });
}

/* The product with matrix `m` of the group whose weights are at `weights`. Those of the next chunk
 * are prefetched: hardware does not foresee such short runs of lines. */
static void multiply(const struct layout *l, const float *weights, size_t m, size_t pixels,
                     const float *copied, bool add, float *to, size_t to_plane)
{
    size_t k = l->k * l->d_in, size = k * l->d_out;
    weights += m * size;
    for (size_t i = 0; i < size; i += CACHE_LINE / sizeof *weights)
        __builtin_prefetch(weights + l->groups * l->matrices * size + i, 0, 2);
    blas_multiply(l->d_out, pixels, k, weights, copied, l->copied, add, to, to_plane);
}

/* A group's outputs as the sum of a product for each kernel row. */
static void blas_grouped_multiply_rows(const struct work *w, const float *weights, size_t g,
                                       size_t rows)
{
    const struct layout *l = &w->layout;
    size_t of_phase = l->lines / l->stride;
    blas_grouped_copy_inputs(w, g, l->lines);
    for (size_t ky = 0; ky < l->k; ky++)
        multiply(l, weights, ky, rows * l->width,
                 w->copied + (ky % l->stride * of_phase + ky / l->stride) * l->width, ky > 0,
                 w->outputs + g * l->d_out * l->output, l->output);
}

/* A group's outputs by a product for each transformed row. */
static void blas_grouped_multiply_transformed(const struct work *w, const float *weights, size_t g,
                                              size_t rows)
{
    const struct layout *l = &w->layout;
    size_t tiles = size_ceil_div(rows, WINOGRAD_OUT), pixels = tiles * l->width;
    blas_grouped_copy_inputs(w, g, tiles);
    for (size_t m = 0; m < l->matrices; m++)
        multiply(l, weights, m, pixels, w->copied + m * l->k * l->d_in * l->copied, false,
                 w->sums + m * l->d_out * pixels, pixels);
    w->leaf->transform_sums(&(struct plane_lines){
        .channels = l->d_out,
        .rows = tiles,
        .width = l->width,
        .from = w->sums,
        .to = w->outputs + g * l->d_out * l->output,
        .from_plane = pixels,
        .to_plane = l->output,
        .line = l->width,
        .matrix = l->d_out * pixels,
    });
}

/* A chunk of the block of output lines [first, first + rows) of an image. */
static void run_chunk(const struct work *w, size_t chunk, size_t image, size_t first, size_t rows)
{
    const struct conv_call *call = w->call;
    const struct layout *l = &w->layout;
    size_t group = chunk * l->groups, left = (size_t)call->shape->groups - group;
    size_t groups = left < l->groups ? left : l->groups, channel = group * l->d_out;
    size_t out_h = (size_t)call->shape->out_h, out_c = (size_t)call->shape->out_c;
    const float *weights = (const float *)call->packed + group * weights_of_group(l);
    w->leaf->to(&(struct to_planes){
        .pixels = w->pixels,
        .count = l->pixels,
        .channel = group * l->d_in,
        .channels = groups * l->d_in,
        .planes = w->inputs,
        .plane = l->input,
    });
    for (size_t g = 0; g < groups; g++, weights += weights_of_group(l))
        (l->winograd ? blas_grouped_multiply_transformed : blas_grouped_multiply_rows)(w, weights,
                                                                                       g, rows);
    w->leaf->from(&(struct from_planes){
        .planes = w->outputs,
        .plane = l->output,
        .count = rows * l->width,
        .channels = groups * l->d_out,
        .epilogue = {.factors = (const float *)call->packed + l->weights + channel,
                     .residual = call->residual,
                     .y = call->y,
                     .relu = call->relu},
        .at = (image * out_h + first) * l->width * out_c + channel,
        .pixel = out_c,
    });
}

static void blas_grouped_run_tiles(const struct conv_kernel *self, const struct conv_call *call)
{
    struct work w = {.leaf = self->impl, .call = call, .layout = layout_of(call->shape)};
    const struct layout *l = &w.layout;
    size_t end = (size_t)call->tile_end, out_h = (size_t)call->shape->out_h;
    place(&w, call->scratch);
    for (size_t t = (size_t)call->tile_begin, listed = SIZE_MAX; t < end; t++) {
        size_t block = t / l->chunks % l->blocks, image = t / l->chunks / l->blocks;
        size_t first = block * l->rows, left = out_h - first;
        if (t / l->chunks != listed)
            list_pixels(&w, image, first);
        listed = t / l->chunks;
        run_chunk(&w, t % l->chunks, image, first, left < l->rows ? left : l->rows);
    }
}

const struct conv_method blas_grouped_method = {
    .packed_size = blas_grouped_packed_size,
    .pack = blas_grouped_pack,
    .tile_count = blas_grouped_tile_count,
    .scratch_size = blas_grouped_scratch_size,
    .run = blas_grouped_run_tiles,
    .check_memory = blas_check_memory,
    .library = blas_library,
};
