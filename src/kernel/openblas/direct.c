#include <string.h>

#include "base/size.h"
#include "kernel/openblas/openblas.h"
#include "kernel/openblas/planes.h"

/* How it works. Groups are narrow (d = 4 in ResNeXt-50's first stage), pixels are many: vectors
 * must run along pixels. For a block of output rows, the channels of a chunk of groups, about a
 * cache line of each pixel, are turned into planes, a set for each kernel column kx, so that plane
 * (kx, c) holds at [line][ox] the input that meets column kx of the kernel. Kernel row ky meets the
 * same planes a whole number of lines further on: its inputs are a [kernel * d][pixels] matrix
 * inside the planes, and a group's outputs are the sum over ky of `kernel` products, with nothing
 * copied for any of them. Outputs are turned back on the way to y.
 *
 * A pixel is turned once for all kernel columns that it meets, if input lines are `stride` times as
 * long as output lines: kernel columns that are `stride` apart meet the same pixels, shifted.
 * Otherwise each kernel column's are turned on their own. Either way they are a list of pixels,
 * [line][ox], zeros where there is no image: a source.
 *
 * With a stride, lines that meet the same kernel rows are kept together: line i of the block lies
 * at (i % stride) * lines / stride + i / stride.
 *
 * A tile is a chunk of a block. Packed: weights [group][ky][kx][in][out], in and out within the
 * group; bias [out_c]; the pixel outside the image [in_c]; some floats that may be read. */

enum { BLOCK_PIXELS = 784, CACHE_LINE = 64 };

struct layout {
    size_t k, stride, width; /* width: of an output line */
    size_t d_in, d_out;
    size_t groups, chunks; /* groups of a chunk, but the last may have fewer */
    size_t rows, blocks;   /* output rows of a block, but the last may have fewer */
    size_t lines;          /* input lines of a block, a multiple of the stride */
    bool shared;           /* sources are turned for several kernel columns */
    size_t sources;
    size_t pixels;  /* of a source; the last `k` of them or more are zeros */
    size_t plane;   /* floats from one plane to the next */
    size_t outputs; /* the same of the outputs */
};

static struct layout layout_of(const struct conv_shape *s)
{
    struct layout l = {
        .k = (size_t)s->kernel,
        .stride = (size_t)s->stride,
        .width = (size_t)s->out_w,
        .d_in = (size_t)(s->in_c / s->groups),
        .d_out = (size_t)(s->out_c / s->groups),
    };
    l.groups = planes_chunk(s);
    l.chunks = size_ceil_div((size_t)s->groups, l.groups);
    l.rows = l.width < BLOCK_PIXELS ? BLOCK_PIXELS / l.width : 1;
    l.blocks = size_ceil_div((size_t)s->out_h, l.rows);
    l.rows = size_ceil_div((size_t)s->out_h, l.blocks);
    l.blocks = size_ceil_div((size_t)s->out_h, l.rows);
    l.lines = (l.rows + (l.k - 1) / l.stride) * l.stride;
    l.shared = s->in_w == s->out_w * s->stride && s->kernel <= PLANES_COPIES;
    l.sources = l.shared ? l.stride : l.k;
    l.pixels = size_round_up(l.lines * l.width + l.k, PLANES_LANES);
    l.plane = planes_step(l.pixels + PLANES_LANES);
    l.outputs = planes_step(l.rows * l.width);
    return l;
}

bool blas_direct_supports(const struct conv_shape *s)
{
    return s->groups > 1;
}

static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return (conv_weight_count(s) + (size_t)s->out_c + (size_t)s->in_c + PLANES_LANES) *
           sizeof(float);
}

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    (void)self;
    size_t taps = (size_t)(s->kernel * s->kernel), in = (size_t)(s->in_c / s->groups);
    size_t out = (size_t)(s->out_c / s->groups);
    float *p = packed;
    for (size_t g = 0; g < (size_t)s->groups; g++)
        for (size_t t = 0; t < taps; t++)
            for (size_t i = 0; i < in; i++)
                for (size_t o = 0; o < out; o++)
                    *p++ = weights->weights[((g * out + o) * in + i) * taps + t];
    memcpy(p, weights->bias, (size_t)s->out_c * sizeof *p);
    memset(p + s->out_c, 0, ((size_t)s->in_c + PLANES_LANES) * sizeof *p);
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
    const float **pixels; /* [source][line][ox], channel 0 */
    int32_t *columns;     /* [line][ox]: ox */
    size_t *planes_at;    /* [channel of the chunk] */
    float *planes;        /* [group][kx][d_in][plane] */
    float *outputs;       /* [group][d_out][outputs] */
};

/* Points into `scratch`; returns the bytes that are needed. */
static size_t place(struct work *w, unsigned char *scratch)
{
    const struct layout *l = &w->layout;
    size_t at = 0, channels = l->groups * l->d_in;
    size_t outputs = size_round_up(l->groups * l->d_out, PLANES_LANES);
    w->pixels = planes_take(&at, scratch, l->sources * l->pixels * sizeof *w->pixels);
    w->columns = planes_take(&at, scratch, l->pixels * sizeof *w->columns);
    w->planes_at = planes_take(&at, scratch, channels * sizeof *w->planes_at);
    at += CACHE_LINE; /* for what is overwritten in front of the first plane */
    w->planes = planes_take(&at, scratch, l->k * channels * l->plane * sizeof *w->planes);
    w->outputs = planes_take(&at, scratch, outputs * l->outputs * sizeof *w->outputs);
    return at;
}

static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    static unsigned char nowhere[1];
    struct work w = {.layout = layout_of(s)};
    return place(&w, nowhere);
}

/* The input column that source `source` begins with. */
static int source_column(const struct work *w, size_t source)
{
    return (int)source - (w->layout.shared ? 0 : w->call->shape->pad);
}

/* Whether the planes of kernel column `kx` hold the source's pixels, and how far they are shifted.
 */
static bool holds(const struct work *w, size_t source, size_t kx, int *shift)
{
    const struct conv_shape *s = w->call->shape;
    int distance = source_column(w, source) + s->pad - (int)kx;
    *shift = distance / s->stride;
    return w->layout.shared ? distance % s->stride == 0 : distance == 0;
}

/* The pixels of a source, line by line of the block whose first is input line `top`. */
static void list_pixels(const struct work *w, const float *image, int top, size_t source)
{
    const struct conv_shape *s = w->call->shape;
    const struct layout *l = &w->layout;
    const float *zeros = (const float *)w->call->packed + conv_weight_count(s) + s->out_c;
    const float **to = w->pixels + source * l->pixels, **end = to + l->pixels;
    size_t of_phase = l->lines / l->stride;
    int first = source_column(w, source);
    for (size_t line = 0; line < l->lines; line++) {
        int y = top + (int)(line % of_phase * l->stride + line / of_phase);
        bool inside = y >= 0 && y < s->in_h;
        const float *from = inside ? image + ((ptrdiff_t)y * s->in_w + first) * s->in_c : zeros;
        ptrdiff_t step = inside ? (ptrdiff_t)s->stride * s->in_c : 0;
        for (ptrdiff_t ox = 0; ox < (ptrdiff_t)l->width; ox++)
            to[ox] = from + ox * step;
        for (int ox = 0; ox < s->out_w && !l->shared; ox++)
            if (first + ox * s->stride < 0 || first + ox * s->stride >= s->in_w)
                to[ox] = zeros;
        to += l->width;
    }
    while (to < end)
        *to++ = zeros;
}

/* What is the same for all blocks. */
static void prepare(const struct work *w)
{
    const struct layout *l = &w->layout;
    for (size_t p = 0; p < l->pixels; p += l->width)
        for (size_t ox = 0; ox < l->width && p + ox < l->pixels; ox++)
            w->columns[p + ox] = (int32_t)ox;
    for (size_t c = 0; c < l->groups * l->d_in; c++)
        w->planes_at[c] = (c / l->d_in * l->k * l->d_in + c % l->d_in) * l->plane;
}

static void find_block(const struct work *w, size_t image, size_t first)
{
    const struct conv_shape *s = w->call->shape;
    const float *x =
        (const float *)w->call->x + image * (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
    for (size_t source = 0; source < w->layout.sources; source++)
        list_pixels(w, x, (int)first * s->stride - s->pad, source);
}

static void fill_planes(const struct work *w, size_t first_group, size_t groups)
{
    const struct layout *l = &w->layout;
    for (size_t source = 0; source < l->sources; source++) {
        struct to_planes t = {
            .pixels = w->pixels + source * l->pixels,
            .columns = w->columns,
            .width = (int)l->width,
            .count = l->pixels,
            .channel = first_group * l->d_in,
            .channels = groups * l->d_in,
            .at = w->planes_at,
        };
        for (size_t kx = 0; kx < l->k; kx++) {
            int shift;
            if (!holds(w, source, kx, &shift))
                continue;
            float *planes = w->planes + kx * l->d_in * l->plane;
            t.copy[t.copies].planes = planes;
            t.copy[t.copies++].shift = shift;
            for (size_t c = 0; shift > 0 && c < t.channels; c++)
                memset(planes + w->planes_at[c], 0, (size_t)shift * sizeof *planes);
        }
        if (t.copies > 0) /* with a stride beyond the kernel, some pixels are in none */
            w->leaf->to(&t);
    }
}

/* The outputs of group `g` of the chunk: `kernel` products. Meanwhile the weights of the next chunk
 * are fetched: a product reads few lines of many, which no CPU foresees. */
static void multiply(const struct work *w, const float *weights, size_t g, size_t pixels)
{
    const struct layout *l = &w->layout;
    size_t k = l->k * l->d_in, next = l->groups * l->k * k * l->d_out;
    const float *planes = w->planes + g * k * l->plane;
    float *outputs = w->outputs + g * l->d_out * l->outputs;
    for (size_t ky = 0; ky < l->k; ky++, weights += k * l->d_out) {
        size_t line = ky % l->stride * (l->lines / l->stride) + ky / l->stride;
        for (size_t i = 0; i < k * l->d_out; i += CACHE_LINE / sizeof *weights)
            __builtin_prefetch(weights + next + i, 0, 2);
        blas_multiply(l->d_out, pixels, k, weights, planes + line * l->width, l->plane, ky > 0,
                      outputs, l->outputs);
    }
}

/* A chunk of the block of output rows [first, first + rows) over all images. */
static void run_chunk(const struct work *w, size_t chunk, size_t first, size_t rows)
{
    const struct conv_call *call = w->call;
    const struct layout *l = &w->layout;
    size_t group = chunk * l->groups, left = (size_t)call->shape->groups - group;
    size_t groups = left < l->groups ? left : l->groups, pixels = rows * l->width;
    size_t channel = group * l->d_out, out_c = (size_t)call->shape->out_c;
    size_t at = first * l->width * out_c + channel;
    const float *weights = call->packed, *bias = weights + conv_weight_count(call->shape);
    weights += group * l->k * l->k * l->d_in * l->d_out;
    fill_planes(w, group, groups);
    for (size_t g = 0; g < groups; g++)
        multiply(w, weights + g * l->k * l->k * l->d_in * l->d_out, g, pixels);
    w->leaf->from(&(struct from_planes){
        .planes = w->outputs,
        .plane = l->outputs,
        .count = pixels,
        .channels = groups * l->d_out,
        .finish = {.factors = bias + channel,
                   .residual = call->residual,
                   .y = call->y,
                   .relu = call->relu},
        .at = at,
        .pixel = out_c,
    });
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    struct work w = {.leaf = self->own, .call = call, .layout = layout_of(call->shape)};
    const struct layout *l = &w.layout;
    size_t end = (size_t)call->tile_end, out_h = (size_t)call->shape->out_h;
    place(&w, call->scratch);
    prepare(&w);
    for (size_t t = (size_t)call->tile_begin, listed = SIZE_MAX; t < end; t++) {
        size_t block = t / l->chunks % l->blocks, image = t / l->chunks / l->blocks;
        size_t first = block * l->rows;
        if (t / l->chunks != listed)
            find_block(&w, image, first);
        listed = t / l->chunks;
        run_chunk(&w, t % l->chunks, image * out_h + first,
                  first + l->rows < out_h ? l->rows : out_h - first);
    }
}

const struct conv_method blas_direct_method = {
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = tile_count,
    .scratch_size = scratch_size,
    .run = run,
    .room = blas_room,
    .library = blas_library,
};
