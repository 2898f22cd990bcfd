#include "kernel/grouped.h"

#include "base/size.h"

enum {
    SLAB_BYTES = 36 * 1024,
    WEIGHT_BYTES = 16 * 1024, /* that stay in the L1 cache beside some rows of the slab */
    UNIT_CHANNELS = 16,
    MOST_LANES = 16,
    MOST_PERMUTED = 8, /* dwords of a group that is half as wide as a vector */
};

/* A shape's sizes. A unit is what one slab serves: several groups, or one. */
struct layout {
    size_t lanes;         /* of a vector */
    size_t width;         /* channels of a group, in and out */
    size_t dwords;        /* inputs of a group */
    bool permuted;        /* several groups to a vector */
    size_t unit_channels; /* UNIT_CHANNELS, or a group's */
    size_t units, unit_vectors;
    size_t pixel;        /* dwords of a pixel in the slab */
    size_t columns;      /* of the slab */
    size_t rows, blocks; /* output rows of a tile, and how many make an image */
    size_t vector_bytes, factor_bytes;
    size_t channels; /* factors of one kind */
};

static size_t input_rows(const struct conv_shape *s, size_t rows)
{
    return (rows - 1) * (size_t)s->stride + GROUPED_TAPS;
}

/* As many rows as the slab has room for, in blocks of nearly one size. */
static void cut_rows(const struct conv_shape *s, struct layout *l)
{
    size_t line = l->columns * l->pixel * 4, rows = SLAB_BYTES / line, out_h = (size_t)s->out_h;
    rows = rows > GROUPED_TAPS ? (rows - GROUPED_TAPS) / (size_t)s->stride + 1 : 1;
    l->blocks = size_ceil_div(out_h, rows);
    l->rows = size_ceil_div(out_h, l->blocks);
    l->blocks = size_ceil_div(out_h, l->rows);
}

static struct layout layout_of(const struct lanes_format *format, const struct conv_shape *s)
{
    struct layout l = {.lanes = format->lanes, .width = (size_t)(s->in_c / s->groups)};
    bool several = UNIT_CHANNELS % l.width == 0 && l.width * format->element % 4 == 0;
    l.dwords = lanes_dwords(format, l.width);
    l.permuted = several && l.width < l.lanes;
    l.unit_channels = several ? UNIT_CHANNELS : l.width;
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

/* Packed: vectors, factors [kind][unit][vector][lane], the padding pixel. */
static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    const struct grouped_kernel *k = self->own;
    struct layout l = layout_of(&k->format, s);
    return l.units * l.unit_vectors * l.vector_bytes + l.factor_bytes +
           (size_t)s->in_c * precision_size(k->format.precision);
}

/* Where output channel `o` stands among the lanes of all vectors. */
static size_t lane_of(const struct layout *l, size_t o)
{
    return o / l->unit_channels * l->unit_vectors * l->lanes + o % l->unit_channels;
}

/* The weights of output channel `o`; its lane's first dword is at `to`. */
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

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    const struct grouped_kernel *k = self->own;
    struct layout l = layout_of(&k->format, s);
    unsigned char *p = packed, *factors = p + l.units * l.unit_vectors * l.vector_bytes;
    memset(p, 0, (size_t)(factors - p) + l.factor_bytes);
    for (size_t o = 0; o < (size_t)s->out_c; o++) {
        size_t lane = lane_of(&l, o);
        pack_channel(&k->format, &l, weights, o,
                     p + lane / l.lanes * l.vector_bytes + lane % l.lanes * 4);
        lanes_put_factors(k->format.precision, weights, o, l.channels,
                          (float *)(void *)factors + lane);
    }
    lanes_put_padding(k->format.precision, weights, (size_t)s->in_c, factors + l.factor_bytes);
}

static int tile_count(const struct conv_kernel *self, const struct conv_shape *s, int images)
{
    const struct grouped_kernel *k = self->own;
    struct layout l = layout_of(&k->format, s);
    return (int)(l.units * l.blocks) * images;
}

static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    const struct grouped_kernel *k = self->own;
    struct layout l = layout_of(&k->format, s);
    return input_rows(s, l.rows) * l.columns * l.pixel * 4;
}

/* What a slab is filled from and how. */
struct filling {
    const struct lanes_format *format;
    const unsigned char *padding;
    size_t pixel;      /* bytes in x from one pixel to the next */
    size_t bytes;      /* of each that go into the slab */
    size_t to_pixel;   /* bytes of a pixel in the slab */
    size_t pad, width; /* columns in front of the image, columns of the image */
    size_t columns;
};

/* One line of the slab, from input line `line` (NULL: outside). */
static void fill_line(const struct filling *f, const unsigned char *line, unsigned char *to)
{
    size_t room = f->columns - f->pad, inside = f->width < room ? f->width : room;
    size_t used = f->bytes / precision_size(f->format->precision) * f->format->element;
    size_t before = line ? f->pad : f->columns;
    if (used % 4) /* or what lies behind it would be multiplied, by 0, and could be NaN */
        for (size_t i = 0; i < f->columns; i++)
            memset(to + i * f->to_pixel + used / 4 * 4, 0, 4);
    f->format->copy(to, f->to_pixel, f->padding, 0, f->bytes, before);
    if (!line)
        return;
    to += f->pad * f->to_pixel;
    f->format->copy(to, f->to_pixel, line, f->pixel, f->bytes, inside);
    to += inside * f->to_pixel;
    f->format->copy(to, f->to_pixel, f->padding, 0, f->bytes, room - inside);
}

/* Copies the inputs of unit `unit` under output rows [first, first + rows) of an image. */
static void fill_slab(const struct lanes_format *format, const struct conv_call *call,
                      const struct layout *l, size_t image, size_t unit, size_t first, size_t rows)
{
    const struct conv_shape *s = call->shape;
    size_t size = precision_size(format->precision), pixel = (size_t)s->in_c * size;
    size_t bytes = l->unit_channels * size, offset = unit * bytes, line = (size_t)s->in_w * pixel;
    const unsigned char *x =
        (const unsigned char *)call->x + image * (size_t)s->in_h * line + offset;
    const struct filling f = {
        .format = format,
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
    size_t most = kernel->most_broadcast && !run.permute ? kernel->most_broadcast : width;
    for (size_t column = 0, f = 0; column < width; column += pixels) {
        size_t left = width - column < most ? width - column : most;
        while (kernel->runs[f].pixels > left)
            f++;
        pixels = kernel->runs[f].pixels;
        kernel->runs[f].run(&run);
        run.slab += pixels * (size_t)s->stride * l->pixel * 4;
        run.at += pixels * run.out_c;
    }
}

/* Lane i belongs to group i / width of the vector. */
static void make_permutes(const struct layout *l, int32_t permute[MOST_PERMUTED * MOST_LANES])
{
    for (size_t d = 0; l->permuted && d < l->dwords; d++)
        for (size_t i = 0; i < l->lanes; i++)
            permute[d * l->lanes + i] = (int32_t)(i / l->width * l->dwords + d);
}

/* The bytes of a slab's pixel in front of the groups of vector `v` of a unit. */
static size_t vector_offset(const struct lanes_format *format, const struct layout *l, size_t v)
{
    size_t together = l->width < l->lanes ? l->lanes : l->width;
    return v * l->lanes / together * together * format->element;
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
    run.finish.factors =
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
                     const struct layout *l, const int32_t *permute, size_t tile)
{
    const struct conv_shape *s = call->shape;
    size_t block = tile % l->blocks, image = tile / l->blocks / l->units;
    size_t unit = tile / l->blocks % l->units, first = block * l->rows, out_h = (size_t)s->out_h;
    size_t rows = first + l->rows <= out_h ? l->rows : out_h - first;
    size_t channel = unit * l->unit_channels, left = (size_t)s->out_c - channel;
    size_t channels = left < l->unit_channels ? left : l->unit_channels;
    size_t vectors = size_ceil_div(channels, l->lanes);
    size_t step = vectors * l->vector_bytes <= WEIGHT_BYTES ? 1 : rows;
    fill_slab(&kernel->format, call, l, image, unit, first, rows);
    const struct grouped_run run = {
        .slab = call->scratch,
        .slab_row = l->columns * l->pixel * 4,
        .dwords = l->dwords,
        .pixel = l->pixel,
        .permute = l->permuted ? permute : NULL,
        .stride = s->stride,
        .at = (image * out_h + first) * (size_t)s->out_w * (size_t)s->out_c + channel,
        .out_c = (size_t)s->out_c,
        .channels = (int)channels,
        .finish = {.factor_stride = l->channels,
                   .residual = call->residual,
                   .y = call->y,
                   .relu = call->relu,
                   .y_float = call->y_float},
    };
    /* All vectors of a row, so that whole cache lines are written, if their weights bear it. */
    for (size_t row = 0; row < rows; row += step)
        for (size_t v = 0; v < vectors; v++)
            run_vector(kernel, call, l, run, v, row, row + step);
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct grouped_kernel *kernel = self->own;
    struct layout l = layout_of(&kernel->format, call->shape);
    _Alignas(64) int32_t permute[MOST_PERMUTED * MOST_LANES];
    make_permutes(&l, permute);
    for (int t = call->tile_begin; t < call->tile_end; t++)
        run_tile(kernel, call, &l, permute, (size_t)t);
}

const struct conv_method grouped_method = {
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = tile_count,
    .scratch_size = scratch_size,
    .run = run,
};
