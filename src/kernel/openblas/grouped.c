#include <string.h>

#include "kernel/openblas/common.h"
#include "kernel/openblas/openblas.h"

/* How it works. Groups are narrow (d = 4 in ResNeXt-50's first stage), pixels are many: vectors
 * must run along pixels. For a block of output rows, the d channels of a group are turned into
 * planes, one set for each kernel column kx, shifted (and thinned, if the stride is not 1) so that
 * plane (kx, c) holds at [line][ox] the input that meets column kx of the kernel. Kernel row ky
 * meets the same planes a whole number of lines further on: its inputs are a [kernel * d][pixels]
 * matrix inside the planes, and the group's outputs are the sum over ky of `kernel` products, with
 * nothing copied for any of them. Outputs are turned back for a chunk of groups at a time, about a
 * cache line.
 *
 * With a stride, lines that meet the same kernel rows are kept together: line i of the block lies
 * at (i % stride) * lines / stride + i / stride.
 *
 * Packed: weights [groups][ky][out][kx][in], in and out within the group, then bias [out_c]. */

enum { CHUNK_CHANNELS = 16, BLOCK_PIXELS = 448 };

/* Sizes of one call's working set, all in units of their elements. */
struct layout {
    size_t k, stride, d_in, d_out;
    size_t groups;     /* in a chunk */
    size_t block_rows; /* output rows worked on at once */
    size_t lines;      /* input lines of a block, a multiple of the stride */
    size_t plane;      /* floats of a plane: lines * out_w */
};

static struct layout layout_of(const struct conv_shape *s)
{
    struct layout l = {
        .k = (size_t)s->kernel,
        .stride = (size_t)s->stride,
        .d_in = (size_t)(s->in_c / s->groups),
        .d_out = (size_t)(s->out_c / s->groups),
    };
    size_t rows = BLOCK_PIXELS / (size_t)s->out_w;
    l.block_rows = rows == 0 ? 1 : rows < (size_t)s->out_h ? rows : (size_t)s->out_h;
    l.groups = l.d_in < CHUNK_CHANNELS ? CHUNK_CHANNELS / l.d_in : 1;
    l.lines = (l.block_rows + (l.k - 1) / l.stride) * l.stride;
    l.plane = l.lines * (size_t)s->out_w;
    return l;
}

static bool supports(const struct conv_shape *s)
{
    return s->groups > 1;
}

static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return (conv_weight_count(s) + (size_t)s->out_c) * sizeof(float);
}

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    (void)self;
    struct layout l = layout_of(s);
    float *p = packed;
    for (size_t g = 0; g < (size_t)s->groups; g++)
        for (size_t ky = 0; ky < l.k; ky++)
            for (size_t o = 0; o < l.d_out; o++)
                for (size_t kx = 0; kx < l.k; kx++)
                    for (size_t i = 0; i < l.d_in; i++)
                        *p++ =
                            weights
                                ->weights[(((g * l.d_out + o) * l.d_in + i) * l.k + ky) * l.k + kx];
    memcpy(p, weights->bias, (size_t)s->out_c * sizeof *p);
}

/* Planes of a group, outputs of a chunk, and one input line of a group. */
static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    struct layout l = layout_of(s);
    size_t outputs = l.groups * l.d_out * l.block_rows * (size_t)s->out_w;
    return (l.k * l.d_in * l.plane + outputs + l.d_in * (size_t)s->in_w) * sizeof(float);
}

/* A block of output rows of one image, and a chunk of groups. */
struct work {
    const struct conv_shape *shape;
    const struct layout *layout;
    const float *image; /* [in_h][in_w][in_c] */
    int top;            /* input line that the block's first output row meets first; may be < 0 */
    size_t rows;        /* output rows */
    float *planes;      /* [kernel][d_in][lines][out_w] */
    float *outputs;     /* [groups][d_out][rows][out_w] */
    float *line;        /* [d_in][in_w] */
};

/* Output columns whose input under kernel column kx lies inside the image: [*first, *last). */
static void inside(const struct conv_shape *s, int kx, int *first, int *last)
{
    int shift = s->pad - kx, end = s->in_w + shift;
    *first = shift <= 0 ? 0 : (shift + s->stride - 1) / s->stride;
    *last = end <= 0 ? 0 : (end + s->stride - 1) / s->stride;
    *last = *last > s->out_w ? s->out_w : *last;
    *first = *first > *last ? *last : *first;
}

/* out[i] = in[i * stride]. */
static void thin(const float *in, size_t stride, float *out, size_t count)
{
    if (stride == 2) { /* the usual one, known to the compiler, so that it is vectorised */
        for (size_t i = 0; i < count; i++)
            out[i] = in[2 * i];
        return;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = in[i * stride];
}

/* Puts the line of one channel (NULL: outside the image) under kernel column kx. Columns outside
 * the image are 0 already. */
static void place_line(const struct conv_shape *s, int kx, const float *line, float *out)
{
    int first, last;
    inside(s, kx, &first, &last);
    if (!line)
        memset(out + first, 0, (size_t)(last - first) * sizeof *out);
    else if (first < last)
        thin(line + first * s->stride + kx - s->pad, (size_t)s->stride, out + first,
             (size_t)(last - first));
}

/* Planes of a group for any stride and width: line by line. */
static void fill_planes_by_line(const struct work *w, size_t group)
{
    const struct conv_shape *s = w->shape;
    const struct layout *l = w->layout;
    size_t in_w = (size_t)s->in_w, in_c = (size_t)s->in_c;
    for (size_t i = 0; i < l->lines; i++) {
        int y = w->top + (int)i;
        bool is_inside = y >= 0 && y < s->in_h;
        size_t to = i % l->stride * (l->lines / l->stride) + i / l->stride;
        if (is_inside)
            blas_transpose(w->image + (size_t)y * in_w * in_c + group * l->d_in, in_w, l->d_in,
                           in_c, w->line, in_w);
        for (size_t kx = 0; kx < l->k; kx++)
            for (size_t c = 0; c < l->d_in; c++)
                place_line(s, (int)kx, is_inside ? w->line + c * in_w : NULL,
                           w->planes + (kx * l->d_in + c) * l->plane + to * (size_t)s->out_w);
    }
}

/* A plane under another kernel column: all lines moved by `shift` columns at once, with zeros where
 * the image ends. */
static void shift_plane(const float *middle, size_t size, size_t width, int shift, float *out)
{
    size_t by = (size_t)(shift < 0 ? -shift : shift);
    by = by < width ? by : width;
    if (shift > 0)
        memcpy(out, middle + by, (size - by) * sizeof *out);
    else
        memcpy(out + by, middle, (size - by) * sizeof *out);
    for (size_t at = shift > 0 ? width - by : 0; at < size; at += width)
        for (size_t i = 0; i < by; i++)
            out[at + i] = 0;
}

/* Planes of a group for stride 1 and a map that keeps its width: those of the middle column are the
 * image itself, turned, and the others are these, moved. */
static void fill_planes_at_once(const struct work *w, size_t group)
{
    const struct conv_shape *s = w->shape;
    const struct layout *l = w->layout;
    size_t width = (size_t)s->out_w, in_c = (size_t)s->in_c, middle = (size_t)s->pad;
    size_t above = w->top < 0 ? (size_t)-w->top : 0, end = (size_t)(s->in_h - w->top);
    size_t below = end < l->lines ? end : l->lines;
    float *planes = w->planes + middle * l->d_in * l->plane;
    for (size_t c = 0; c < l->d_in; c++) {
        float *plane = planes + c * l->plane;
        memset(plane, 0, above * width * sizeof *plane);
        memset(plane + below * width, 0, (l->lines - below) * width * sizeof *plane);
    }
    const float *from = w->image + (size_t)(w->top + (int)above) * width * in_c + group * l->d_in;
    blas_transpose(from, (below - above) * width, l->d_in, in_c, planes + above * width, l->plane);
    for (size_t kx = 0; kx < l->k; kx++)
        for (size_t c = 0; c < l->d_in && kx != middle; c++)
            shift_plane(planes + c * l->plane, l->plane, width, (int)kx - s->pad,
                        w->planes + (kx * l->d_in + c) * l->plane);
}

/* The outputs of one group, from its planes: `kernel` products. */
static void multiply_group(const struct work *w, const float *weights, float *outputs)
{
    const struct layout *l = w->layout;
    size_t width = (size_t)w->shape->out_w, pixels = w->rows * width, k = l->k * l->d_in;
    for (size_t ky = 0; ky < l->k; ky++, weights += l->d_out * k) {
        size_t line = ky % l->stride * (l->lines / l->stride) + ky / l->stride;
        blas_multiply_add(l->d_out, pixels, k, weights, k, w->planes + line * width, l->plane,
                          outputs, pixels);
    }
}

/* What the products add to: bias + residual, as planes. */
static void prepare_outputs(const struct work *w, size_t channels, const float *bias,
                            const float *residual)
{
    size_t pixels = w->rows * (size_t)w->shape->out_w;
    if (residual)
        blas_transpose(residual, pixels, channels, (size_t)w->shape->out_c, w->outputs, pixels);
    for (size_t c = 0; c < channels; c++) {
        float *out = w->outputs + c * pixels;
        for (size_t p = 0; p < pixels; p++)
            out[p] = residual ? out[p] + bias[c] : bias[c];
    }
}

/* Groups [first, first + count) of a block whose outputs start at y. */
static void run_chunk(const struct work *w, const struct conv_call *call, size_t first,
                      size_t count, size_t block_start)
{
    const struct conv_shape *s = w->shape;
    const struct layout *l = w->layout;
    size_t pixels = w->rows * (size_t)s->out_w, channels = count * l->d_out;
    size_t at = block_start + first * l->d_out, group_weights = l->k * l->k * l->d_in * l->d_out;
    const float *weights = call->packed, *bias = weights + conv_weight_count(s) + first * l->d_out;
    const float *residual = call->residual;
    prepare_outputs(w, channels, bias, residual ? residual + at : NULL);
    for (size_t g = 0; g < count; g++) {
        if (s->stride == 1 && s->out_w == s->in_w)
            fill_planes_at_once(w, first + g);
        else
            fill_planes_by_line(w, first + g);
        multiply_group(w, weights + (first + g) * group_weights,
                       w->outputs + g * l->d_out * pixels);
    }
    if (call->relu)
        blas_relu(w->outputs, channels * pixels);
    blas_transpose(w->outputs, channels, pixels, pixels, (float *)call->y + at, (size_t)s->out_c);
}

static void run_tile(const struct conv_call *call, int begin, int tile_end)
{
    const struct conv_shape *s = call->shape;
    struct layout l = layout_of(s);
    size_t groups = (size_t)s->groups, row_size = (size_t)s->out_w * (size_t)s->out_c;
    struct work w = {.shape = s, .layout = &l, .planes = call->scratch};
    w.outputs = w.planes + l.k * l.d_in * l.plane;
    memset(w.planes, 0, l.k * l.d_in * l.plane * sizeof *w.planes);
    w.line = w.outputs + l.groups * l.d_out * l.block_rows * (size_t)s->out_w;
    for (int row = begin; row < tile_end; row += (int)w.rows) {
        int image = row / s->out_h, image_end = (image + 1) * s->out_h;
        int end = image_end < tile_end ? image_end : tile_end;
        w.rows = (size_t)(end - row) < l.block_rows ? (size_t)(end - row) : l.block_rows;
        w.top = row % s->out_h * s->stride - s->pad;
        w.image = (const float *)call->x +
                  (size_t)image * (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
        for (size_t g = 0; g < groups; g += l.groups) {
            size_t count = groups - g < l.groups ? groups - g : l.groups;
            run_chunk(&w, call, g, count, (size_t)row * row_size);
        }
    }
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    (void)self;
    blas_run_tiles(call, run_tile);
}

const struct conv_kernel f32_grouped__openblas = {
    .name = "f32_grouped__openblas",
    .isa = "openblas",
    .precision = PRECISION_F32,
    .supports = supports,
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = blas_tile_count,
    .scratch_size = scratch_size,
    .run = run,
};
