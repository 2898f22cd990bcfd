#include "kernel/grouped.h"

#include "base/size.h"

enum {
    SLAB_BYTES = 36 * 1024,
    WEIGHT_BYTES = 16 * 1024, /* weights of a unit that fit the L1 cache with rows of the slab */
    MAX_LANES = 16,
    MIN_TILES = 16, /* tiles of an image, so that several threads have work */
    MIN_ROWS =
        4, /* of a tile, about: neighbouring tiles each pack the input rows that they share */
};

/* A shape's sizes. A unit is the channels of one slab: several groups, or one. */
struct layout {
    size_t lanes;         /* of a vector */
    size_t width;         /* channels of a group, in and out */
    size_t dwords;        /* inputs of a group */
    size_t together;      /* groups of a vector; also 1 if a group has several vectors */
    size_t unit_channels; /* those of GROUPED_UNIT bytes of inputs, or of a group */
    size_t units, unit_vectors;
    size_t pixel;        /* dwords of a pixel in the slab */
    size_t columns;      /* of the slab */
    size_t rows, blocks; /* output rows of a tile, and blocks of such rows in an image */
    size_t vector_bytes, factor_bytes;
    size_t channels; /* factors of one kind */
};

static size_t input_rows(const struct conv_shape *s, size_t rows)
{
    return (rows - 1) * (size_t)s->stride + GROUPED_TAPS;
}

/* Cuts the rows into blocks of about the same size. A block fits the slab; it may be smaller, to
 * get MIN_TILES tiles. */
static void cut_rows(const struct conv_shape *s, struct layout *l)
{
    size_t line = l->columns * l->pixel * 4, rows = SLAB_BYTES / line, out_h = (size_t)s->out_h;
    rows = rows > GROUPED_TAPS ? (rows - GROUPED_TAPS) / (size_t)s->stride + 1 : 1;
    size_t wanted = size_ceil_div(out_h, size_ceil_div(MIN_TILES, l->units));
    if (wanted < MIN_ROWS)
        wanted = MIN_ROWS;
    l->blocks = size_ceil_div(out_h, rows < wanted ? rows : wanted);
    l->rows = size_ceil_div(out_h, l->blocks);
    l->blocks = size_ceil_div(out_h, l->rows);
}

static struct layout layout_of(const struct lanes_format *format, const struct conv_shape *s)
{
    struct layout l = {.lanes = format->lanes, .width = (size_t)(s->in_c / s->groups)};
    size_t unit = GROUPED_UNIT / format->element;
    bool several = unit % l.width == 0 && l.width * format->element % 4 == 0;
    l.dwords = lanes_dwords(format, l.width);
    l.together = several && l.width < l.lanes ? l.lanes / l.width : 1;
    l.unit_channels = several ? unit : l.width;
    l.units = size_ceil_div((size_t)s->in_c, l.unit_channels);
    l.unit_vectors = size_ceil_div(l.unit_channels, l.lanes);
    l.pixel = lanes_dwords(format, l.unit_channels);
    l.columns = (size_t)(s->out_w - 1) * (size_t)s->stride + GROUPED_TAPS;
    cut_rows(s, &l);
    l.vector_bytes = GROUPED_TAPS * GROUPED_TAPS * l.dwords * l.lanes * 4;
    l.channels = l.units * l.unit_vectors * l.lanes;
    l.factor_bytes = lanes_factor_kinds(format->precision) * l.channels * sizeof(float);
    return l;
}

bool grouped_supports(const struct conv_shape *s)
{
    return s->groups > 1 && s->kernel == GROUPED_TAPS && s->pad == 1 && s->stride <= 2 &&
           s->in_c == s->out_c;
}

/* The packed weights: vectors, factors [kind][unit][vector][lane], the padding pixel. */
static size_t grouped_packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    const struct grouped_kernel *k = self->impl;
    struct layout l = layout_of(&k->format, s);
    return l.units * l.unit_vectors * l.vector_bytes + l.factor_bytes +
           (size_t)s->in_c * precision_size(k->format.precision);
}

/* The index of output channel `o` among the channels of all vectors. */
static size_t place_of(const struct layout *l, size_t o)
{
    return o / l->unit_channels * l->unit_vectors * l->lanes + o % l->unit_channels;
}

/* Its lane in its vector. */
static size_t lane_of(const struct layout *l, size_t place)
{
    size_t i = place % l->lanes;
    return l->together > 1 ? i % l->width * l->together + i / l->width : i;
}

/* The weights of output channel `o`, whose lane begins at `to`. */
static void pack_channel(const struct lanes_format *format, const struct layout *l,
                         const struct conv_weights *weights, size_t o, unsigned char *to)
{
    size_t each = 4 / format->element, taps = GROUPED_TAPS * GROUPED_TAPS;
    for (size_t i = 0; i < l->width; i++)
        for (size_t t = 0; t < taps; t++) {
            size_t dword =
                (t / GROUPED_TAPS * l->dwords + i / each) * GROUPED_TAPS + t % GROUPED_TAPS;
            lanes_put_weights(format, weights, (o * l->width + i) * taps + t, 1,
                              to + dword * l->lanes * 4 + i % each * format->element);
        }
}

static void grouped_pack(const struct conv_kernel *self, const struct conv_shape *s,
                         const struct conv_weights *weights, void *packed)
{
    const struct grouped_kernel *k = self->impl;
    struct layout l = layout_of(&k->format, s);
    unsigned char *p = packed, *factors = p + l.units * l.unit_vectors * l.vector_bytes;
    memset(p, 0, (size_t)(factors - p) + l.factor_bytes);
    for (size_t o = 0; o < (size_t)s->out_c; o++) {
        size_t place = place_of(&l, o);
        pack_channel(&k->format, &l, weights, o,
                     p + place / l.lanes * l.vector_bytes + lane_of(&l, place) * 4);
        lanes_put_factors(k->format.precision, weights, o, l.channels,
                          (float *)(void *)factors + place);
    }
    lanes_put_padding(k->format.precision, weights, (size_t)s->in_c, factors + l.factor_bytes);
}

static int grouped_tile_count(const struct conv_kernel *self, const struct conv_shape *s,
                              int images)
{
    const struct grouped_kernel *k = self->impl;
    struct layout l = layout_of(&k->format, s);
    return (int)(l.units * l.blocks) * images;
}

static size_t grouped_scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    const struct grouped_kernel *k = self->impl;
    struct layout l = layout_of(&k->format, s);
    return input_rows(s, l.rows) * l.columns * l.pixel * 4;
}

/* The permutation that transposes contiguous matrices of rows x columns. */
static void make_order(size_t rows, size_t columns, int32_t order[MAX_LANES])
{
    for (size_t i = 0, size = rows * columns; i < MAX_LANES; i++)
        order[i] = (int32_t)(i / size * size + i % rows * columns + i % size / rows);
}

/* The permutations of dwords for the slab, and of finished sums. */
struct orders {
    _Alignas(64) int32_t dwords[MAX_LANES];
    _Alignas(64) int32_t sums[MAX_LANES];
};

/* How a slab is packed. */
struct filling {
    const struct grouped_kernel *kernel;
    const int32_t *order; /* of the dwords; NULL: unchanged */
    const unsigned char *padding;
    size_t pixel;      /* bytes in x from one pixel to the next */
    size_t bytes;      /* of each pixel that go into the slab */
    size_t to_pixel;   /* bytes of a pixel in the slab */
    size_t pad, width; /* columns of padding in front of the image, columns of the image */
    size_t columns;
};

static void fill(const struct filling *f, unsigned char *to, const unsigned char *from, size_t step,
                 size_t times)
{
    const struct lanes_format *format = &f->kernel->format;
    if (f->order)
        f->kernel->copy_permuted(format, to, from, step, f->bytes, times, f->order);
    else
        format->copy(to, f->to_pixel, from, step, f->bytes, times);
}

/* One line of the slab, from input line `line` (NULL: outside). */
static void fill_line(const struct filling *f, const unsigned char *line, unsigned char *to)
{
    size_t space = f->columns - f->pad, inside = f->width < space ? f->width : space;
    const struct lanes_format *format = &f->kernel->format;
    size_t used = f->bytes / precision_size(format->precision) * format->element;
    size_t before = line ? f->pad : f->columns;
    if (used % 4) /* weights of the rest of a dword are 0, but 0 * NaN is NaN */
        for (size_t i = 0; i < f->columns; i++)
            memset(to + i * f->to_pixel + used / 4 * 4, 0, 4);
    fill(f, to, f->padding, 0, before);
    if (!line)
        return;
    to += f->pad * f->to_pixel;
    fill(f, to, line, f->pixel, inside);
    to += inside * f->to_pixel;
    fill(f, to, f->padding, 0, space - inside);
}

/* Packs the inputs of unit `unit` for output rows [first, first + rows) of an image. */
static void fill_slab(const struct grouped_kernel *kernel, const struct conv_call *call,
                      const struct layout *l, const int32_t *order, size_t image, size_t unit,
                      size_t first, size_t rows)
{
    const struct conv_shape *s = call->shape;
    size_t size = precision_size(kernel->format.precision), pixel = (size_t)s->in_c * size;
    size_t bytes = l->unit_channels * size, offset = unit * bytes, line = (size_t)s->in_w * pixel;
    const unsigned char *x =
        (const unsigned char *)call->x + image * (size_t)s->in_h * line + offset;
    const struct filling f = {
        .kernel = kernel,
        .order = l->together > 1 && l->dwords > 1 ? order : NULL,
        .padding = (const unsigned char *)call->packed +
                   l->units * l->unit_vectors * l->vector_bytes + l->factor_bytes + offset,
        .pixel = pixel,
        .bytes = offset + bytes <= pixel ? bytes : pixel - offset,
        .to_pixel = l->pixel * 4,
        .pad = (size_t)s->pad,
        .width = (size_t)s->in_w,
        .columns = l->columns,
    };
    unsigned char *to = call->scratch;
    int y = (int)first * s->stride - s->pad, end = y + (int)input_rows(s, rows);
    for (; y < end; y++, to += l->columns * l->pixel * 4)
        fill_line(&f, y >= 0 && y < s->in_h ? x + (size_t)y * line : NULL, to);
}

/* One output row of one vector. */
static void run_row(const struct grouped_kernel *kernel, const struct conv_shape *s,
                    const struct layout *l, struct grouped_run run)
{
    size_t width = (size_t)s->out_w, pixels;
    size_t max = kernel->max_broadcast && run.together == 1 ? kernel->max_broadcast : width;
    for (size_t column = 0, f = 0; column < width; column += pixels) {
        size_t left = width - column < max ? width - column : max;
        while (kernel->runs[f].pixels > left)
            f++;
        pixels = kernel->runs[f].pixels;
        kernel->runs[f].run(&run);
        run.slab += pixels * (size_t)s->stride * l->pixel * 4;
        run.at += pixels * run.out_c;
    }
}

/* The offset, in a pixel of the slab, of the groups of vector `v` of a unit. */
static size_t vector_offset(const struct lanes_format *format, const struct layout *l, size_t v)
{
    size_t channels = l->width < l->lanes ? l->lanes : l->width; /* of whole groups */
    return v * l->lanes / channels * channels * format->element;
}

/* Output rows [first, end) of a tile, the vector `v` of its unit. */
static void run_vector(const struct grouped_kernel *kernel, const struct conv_call *call,
                       const struct layout *l, struct grouped_run run, size_t v, size_t first,
                       size_t end)
{
    const unsigned char *packed = call->packed, *slab = run.slab;
    size_t vector = run.at % run.out_c / l->unit_channels * l->unit_vectors + v;
    size_t at = run.at + v * l->lanes, left = (size_t)run.channels - v * l->lanes;
    run.channels = (int)(left < l->lanes ? left : l->lanes);
    run.weights = packed + vector * l->vector_bytes;
    run.epilogue.factors =
        (const float *)(const void *)(packed + l->units * l->unit_vectors * l->vector_bytes) +
        vector * l->lanes;
    for (size_t row = first; row < end; row++) {
        run.slab =
            slab + row * (size_t)run.stride * run.slab_row + vector_offset(&kernel->format, l, v);
        run.at = at + row * (size_t)call->shape->out_w * run.out_c;
        run_row(kernel, call->shape, l, run);
    }
}

static void run_tile(const struct grouped_kernel *kernel, const struct conv_call *call,
                     const struct layout *l, const struct orders *orders, size_t tile)
{
    const struct conv_shape *s = call->shape;
    size_t block = tile % l->blocks, image = tile / l->blocks / l->units;
    size_t unit = tile / l->blocks % l->units, first = block * l->rows, out_h = (size_t)s->out_h;
    size_t rows = first + l->rows <= out_h ? l->rows : out_h - first;
    size_t channel = unit * l->unit_channels, left = (size_t)s->out_c - channel;
    size_t channels = left < l->unit_channels ? left : l->unit_channels;
    size_t vectors = size_ceil_div(channels, l->lanes);
    size_t step = vectors * l->vector_bytes <= WEIGHT_BYTES ? 1 : rows;
    fill_slab(kernel, call, l, orders->dwords, image, unit, first, rows);
    const struct grouped_run run = {
        .slab = call->scratch,
        .slab_row = l->columns * l->pixel * 4,
        .dwords = l->dwords,
        .pixel = l->pixel,
        .together = l->together,
        .order = orders->sums,
        .stride = s->stride,
        .at = (image * out_h + first) * (size_t)s->out_w * (size_t)s->out_c + channel,
        .out_c = (size_t)s->out_c,
        .channels = (int)channels,
        .epilogue = {.factor_stride = l->channels,
                     .residual = call->residual,
                     .y = call->y,
                     .output = call->output,
                     .relu = call->relu,
                     .bounded = call->bounded},
    };
    /* All vectors of a row in turn, so that whole cache lines are written, if their weights fit. */
    for (size_t row = 0; row < rows; row += step)
        for (size_t v = 0; v < vectors; v++)
            run_vector(kernel, call, l, run, v, row, row + step);
}

static void grouped_run_tiles(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct grouped_kernel *kernel = self->impl;
    struct layout l = layout_of(&kernel->format, call->shape);
    struct orders orders;
    make_order(l.together, l.dwords, orders.dwords);
    make_order(l.width, l.together, orders.sums);
    for (int t = call->tile_begin; t < call->tile_end; t++)
        run_tile(kernel, call, &l, &orders, (size_t)t);
}

const struct conv_method grouped_method = {
    .packed_size = grouped_packed_size,
    .pack = grouped_pack,
    .tile_count = grouped_tile_count,
    .scratch_size = grouped_scratch_size,
    .run = grouped_run_tiles,
};
