#include "kernel/dense.h"

#include "base/size.h"

enum {
    TILE_STEPS = 60 * 1000, /* vector multiply-adds of a tile: about 15 us */
    L1_SET_BYTES = 4096,    /* addresses this far apart share a set of the L1 cache */
    CACHE_LINE = 64,
    COPY_BYTES = 1024 * 1024,  /* of the packed map of a 1x1 kernel, at most */
    PADDED_BYTES = 256 * 1024, /* of the padded map of a larger kernel, at most: it stays in L2 */
};

/* A shape's sizes. */
struct layout {
    size_t pixel, wide_pixel;  /* bytes of an input pixel, in x and in scratch */
    size_t pitch;              /* bytes from one to the next in x */
    size_t line_dwords;        /* inputs of an output pixel in one line of the kernel */
    size_t window_columns;     /* input columns under a whole block */
    size_t padded_h, padded_w; /* of an image, with its padding, as far as windows reach */
    size_t copied_pixel;       /* bytes between packed pixels of a 1x1 kernel */
    size_t panel_bytes, factor_bytes;
    size_t shortcut_dwords; /* inputs of an output pixel of the shortcut */
    size_t panels, group_panels, group_channels;
    size_t pixels, tile_pixels; /* of all images; of a tile (the last tile has the rest) */
    size_t groups, group_tiles;
};

/* Where tile `t` of a group of panels ends, in pixels. */
static size_t tile_end(const struct layout *l, size_t t)
{
    return t + 1 < l->group_tiles ? (t + 1) * l->tile_pixels : l->pixels;
}

static size_t at_least_1(size_t n)
{
    return n ? n : 1;
}

/* Output pixels of an image. */
static size_t map_of(const struct conv_shape *s)
{
    return (size_t)s->out_h * (size_t)s->out_w;
}

static struct layout layout_of(const struct dense_kernel *k, const struct conv_shape *s, int images)
{
    struct layout l;
    size_t block = k->blocks[0].pixels, lines = (size_t)s->kernel;
    l.pixel = (size_t)s->in_c * precision_size(k->format.precision);
    l.wide_pixel = (size_t)s->in_c * k->format.element;
    l.pitch = l.pixel;
    l.line_dwords = lanes_dwords(&k->format, lines * (size_t)s->in_c);
    l.window_columns = (block - 1) * (size_t)s->stride + lines;
    l.padded_h = (size_t)(s->out_h - 1) * (size_t)s->stride + lines;
    l.padded_w = (size_t)(s->out_w - 1) * (size_t)s->stride + lines;
    l.copied_pixel = size_ceil_div(l.line_dwords, 64) * 256 + CACHE_LINE;
    l.panel_bytes = lines * l.line_dwords * k->panel * 4;
    l.panels = size_ceil_div((size_t)s->out_c, k->panel);
    l.factor_bytes = lanes_factor_kinds(k->format.precision) * l.panels * k->panel * sizeof(float);
    l.shortcut_dwords = lanes_dwords(&k->format, (size_t)s->shortcut_c);
    size_t dwords = lines * l.line_dwords + l.shortcut_dwords;
    l.groups = size_ceil_div(l.panels, at_least_1(k->cached / (dwords * k->panel * 4)));
    l.group_panels = size_ceil_div(l.panels, l.groups);
    l.group_channels = l.group_panels * k->panel;
    l.pixels = (size_t)images * map_of(s);
    size_t block_steps = block * (k->panel / k->format.lanes) * dwords * l.group_panels;
    l.tile_pixels = at_least_1(TILE_STEPS / block_steps) * block;
    l.group_tiles = size_ceil_div(l.pixels, l.tile_pixels);
    if (l.group_tiles > 1 && l.pixels - (l.group_tiles - 1) * l.tile_pixels < k->min)
        l.group_tiles--;
    return l;
}

bool dense_supports(const struct conv_shape *s)
{
    return s->groups == 1;
}

/* The packed weights: panels, factors [kind][channels], the padding pixel. */
static size_t dense_packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    const struct dense_kernel *k = self->impl;
    struct layout l = layout_of(k, s, 1);
    if (s->shortcut_c) {
        const struct conv_shape shortcut = conv_shortcut(s);
        return conv_packed_shortcut(self, s) + dense_packed_size(self, &shortcut);
    }
    return l.panels * l.panel_bytes + l.factor_bytes + l.pixel;
}

/* The lane of an output channel in a packed panel: its dword 0, and bytes from one to the next. */
struct lane {
    unsigned char *first;
    size_t step;
};

/* Packs `bytes` bytes of the weights of a channel of a 1x1 kernel, from byte `begin` on. */
static void pack_piece(const unsigned char *weights, size_t begin, size_t bytes, struct lane lane)
{
    unsigned char *to = lane.first + begin / 4 * lane.step;
    for (size_t i = 0; i < bytes; i += 4, to += lane.step)
        memcpy(to, weights + i, bytes - i < 4 ? bytes - i : 4);
}

/* Packs the weights of a channel of a larger kernel: [in][ky][kx] becomes [ky][kx][in]. */
static void pack_window(const struct dense_kernel *k, const struct conv_shape *s,
                        const struct layout *l, const struct conv_weights *weights, size_t channel,
                        struct lane lane)
{
    size_t size = k->format.element, in = (size_t)s->in_c, taps = (size_t)s->kernel;
    for (size_t ky = 0; ky < taps; ky++) {
        size_t at = ky * l->line_dwords * 4; /* bytes within the lane */
        for (size_t kx = 0; kx < taps; kx++)
            for (size_t c = 0; c < in; c++, at += size)
                lanes_put_weights(&k->format, weights, ((channel * in + c) * taps + ky) * taps + kx,
                                  1, lane.first + at / 4 * lane.step + at % 4);
    }
}

/* The channels [first, end) of a panel, PIECE_BYTES of inputs at a time: so the part of the panel
 * that is written stays in the cache. */
static void pack_panel(const struct dense_kernel *k, const struct conv_shape *s,
                       const struct layout *l, const struct conv_weights *weights, size_t first,
                       size_t end, unsigned char *panel)
{
    enum { PIECE_BYTES = 256 };
    size_t in = (size_t)s->in_c, size = k->format.element, max = PIECE_BYTES / size;
    size_t step = k->panel * 4;
    unsigned char piece[PIECE_BYTES];
    for (size_t o = first; s->kernel > 1 && o < end; o++)
        pack_window(k, s, l, weights, o, (struct lane){panel + (o - first) * 4, step});
    for (size_t at = 0; s->kernel == 1 && at < in; at += max)
        for (size_t o = first; o < end; o++) {
            size_t count = in - at < max ? in - at : max;
            lanes_put_weights(&k->format, weights, o * in + at, count, piece);
            pack_piece(piece, at * size, count * size,
                       (struct lane){panel + (o - first) * 4, step});
        }
}

static void dense_pack(const struct conv_kernel *self, const struct conv_shape *s,
                       const struct conv_weights *weights, void *packed)
{
    const struct dense_kernel *k = self->impl;
    struct layout l = layout_of(k, s, 1);
    size_t out = (size_t)s->out_c;
    unsigned char *p = packed, *factors = p + l.panels * l.panel_bytes;
    memset(p, 0, l.panels * l.panel_bytes + l.factor_bytes);
    for (size_t first = 0; first < out; first += k->panel, p += l.panel_bytes)
        pack_panel(k, s, &l, weights, first, first + k->panel < out ? first + k->panel : out, p);
    for (size_t o = 0; o < out; o++)
        lanes_put_factors(k->format.precision, weights, o, l.panels * k->panel,
                          (float *)(void *)factors + o);
    lanes_put_padding(k->format.precision, weights, (size_t)s->in_c, factors + l.factor_bytes);
}

static int dense_tile_count(const struct conv_kernel *self, const struct conv_shape *s, int images)
{
    const struct dense_kernel *k = self->impl;
    struct layout l = layout_of(k, s, images);
    return (int)(l.groups * l.group_tiles);
}

static bool is_in_place(const struct conv_shape *s, const struct layout *l)
{
    return s->kernel == 1 && s->stride == 1 && s->pad == 0 && l->pixel == l->wide_pixel &&
           l->pixel % 4 == 0 && (l->pitch % L1_SET_BYTES || l->pixels == 1);
}

/* Packed pixels of a 1x1 kernel that scratch has space for: those of an image, or of a block. */
static size_t copied_pixels(const struct dense_kernel *k, const struct conv_shape *s,
                            const struct layout *l)
{
    size_t map = map_of(s), block = k->blocks[0].pixels;
    return map > block && map * l->copied_pixel <= COPY_BYTES ? map : block;
}

/* Rows of padded maps that scratch has space for: those of an image, or none. The last dword of a
 * line must be full, unless elements are bytes: a pixel that may be NaN lies behind it. */
static size_t padded_rows(const struct conv_shape *s, const struct layout *l)
{
    bool full = l->pixel == (size_t)s->in_c || (size_t)s->kernel * l->wide_pixel % 4 == 0;
    return full && l->padded_h * l->padded_w * l->wide_pixel <= PADDED_BYTES ? l->padded_h : 0;
}

/* Bytes of scratch for inputs. */
static size_t inputs_size(const struct dense_kernel *k, const struct conv_shape *s,
                          const struct layout *l)
{
    size_t window = (size_t)s->kernel * l->window_columns, padded = padded_rows(s, l) * l->padded_w;
    size_t bytes = s->kernel > 1
                       ? (window > padded ? window : padded) * l->wide_pixel + sizeof(lanes_dword)
                       : copied_pixels(k, s, l) * l->copied_pixel;
    return size_round_up(bytes, CACHE_LINE);
}

/* Bytes of scratch for factors with a gate, [kind][channels of a group]. */
static size_t gated_size(const struct layout *l)
{
    return size_round_up(LANES_GATED_KINDS * l->group_channels * sizeof(float), CACHE_LINE);
}

/* Bytes of scratch for what the shortcut gives to a block, [pixels][channels of a panel]. */
static size_t sums_size(const struct dense_kernel *k)
{
    return k->blocks[0].pixels * k->panel * sizeof(float);
}

/* Bytes of scratch for a shape's own inputs and gated factors. */
static size_t own_size(const struct dense_kernel *k, const struct conv_shape *s,
                       const struct layout *l)
{
    return inputs_size(k, s, l) + gated_size(l);
}

/* Scratch: a shape's own; the shortcut's sums and inputs. */
static size_t dense_scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    const struct dense_kernel *k = self->impl;
    struct layout l = layout_of(k, s, 1);
    size_t own = own_size(k, s, &l);
    if (!s->shortcut_c)
        return own;
    const struct conv_shape shortcut = conv_shortcut(s);
    l = layout_of(k, &shortcut, 1);
    return own + sums_size(k) + inputs_size(k, &shortcut, &l);
}

/* Where inputs come from. If those of the whole call are packed in scratch: the first output pixel
 * that they are for; for a window, the first row of the padded maps. */
struct inputs {
    const struct conv_call *call;
    const struct layout *layout;
    lanes_copy_function *copy;
    const unsigned char *padding;
    bool copied;
    size_t copied_first;
};

static const unsigned char *image_of(const struct inputs *in, size_t image)
{
    const struct conv_shape *s = in->call->shape;
    return (const unsigned char *)in->call->x +
           image * (size_t)s->in_h * (size_t)s->in_w * in->layout->pitch;
}

/* Line `y` of an image; NULL outside. */
static const unsigned char *line_of(const struct inputs *in, const unsigned char *image, int y)
{
    const struct conv_shape *s = in->call->shape;
    if (y < 0 || y >= s->in_h)
        return NULL;
    return image + (size_t)y * (size_t)s->in_w * in->layout->pitch;
}

/* `count` pixels of input line `line` (NULL: outside the image), from column `left` on, `stride`
 * columns apart, to where they are `step` bytes apart. */
static void copy_line(const struct inputs *in, const unsigned char *line, int left, int stride,
                      size_t count, unsigned char *to, size_t step)
{
    size_t pixel = in->layout->pixel, pitch = in->layout->pitch;
    int width = in->call->shape->in_w;
    size_t before = !line ? count : left < 0 ? size_ceil_div((size_t)-left, (size_t)stride) : 0;
    before = before < count ? before : count;
    in->copy(to, step, in->padding, 0, pixel, before);
    to += before * step;
    count -= before;
    left += (int)before * stride;
    size_t inside = left < width ? (size_t)((width - left - 1) / stride + 1) : 0;
    inside = inside < count ? inside : count;
    if (inside && stride == 1 && pitch == pixel && step == in->layout->wide_pixel)
        in->copy(to, 0, line + (size_t)left * pixel, 0, inside * pixel, 1);
    else if (inside)
        in->copy(to, step, line + (size_t)left * pitch, (size_t)stride * pitch, pixel, inside);
    to += inside * step;
    in->copy(to, step, in->padding, 0, pixel, count - inside);
}

/* Packs the inputs of a 1x1 kernel for output pixels [first, end), the last dword of each padded
 * with 0: weights there are 0, but 0 * NaN is NaN. */
static void dense_copy_pixels(const struct inputs *in, size_t first, size_t end)
{
    const struct conv_shape *s = in->call->shape;
    const struct layout *l = in->layout;
    size_t width = (size_t)s->out_w, height = (size_t)s->out_h;
    unsigned char *to = in->call->scratch;
    for (size_t i = first; l->wide_pixel % 4 && i < end; i++)
        memset(to + (i - first) * l->copied_pixel + l->wide_pixel / 4 * 4, 0, 4);
    for (size_t p = first, many; p < end; p += many, to += many * l->copied_pixel) {
        many = width - p % width < end - p ? width - p % width : end - p;
        int y = (int)(p / width % height) * s->stride - s->pad;
        int left = (int)(p % width) * s->stride - s->pad;
        copy_line(in, line_of(in, image_of(in, p / width / height), y), left, s->stride, many, to,
                  l->copied_pixel);
    }
}

/* The inputs of some pixels of one output row; parts of it may lie outside the image. */
struct window {
    const unsigned char *image;
    int top, left, columns; /* [kernel][columns] */
};

static struct window window_of(const struct inputs *in, size_t first, size_t pixels)
{
    const struct conv_shape *s = in->call->shape;
    size_t width = (size_t)s->out_w, height = (size_t)s->out_h;
    return (struct window){
        .image = image_of(in, first / width / height),
        .top = (int)(first / width % height) * s->stride - s->pad,
        .left = (int)(first % width) * s->stride - s->pad,
        .columns = ((int)pixels - 1) * s->stride + s->kernel,
    };
}

/* Whether it can be read in place: the last dword of a line is full, as in padded_rows(). */
static bool is_window_in_place(const struct inputs *in, const struct window *w)
{
    const struct conv_shape *s = in->call->shape;
    const struct layout *l = in->layout;
    return w->top >= 0 && w->top + s->kernel <= s->in_h && w->left >= 0 &&
           w->left + w->columns <= s->in_w && l->pixel == l->wide_pixel &&
           (l->pixel == (size_t)s->in_c || (size_t)s->kernel * l->pixel % 4 == 0);
}

static void copy_window(const struct inputs *in, const struct window *w)
{
    const struct layout *l = in->layout;
    unsigned char *to = in->call->scratch;
    for (int y = w->top; y < w->top + in->call->shape->kernel;
         y++, to += l->window_columns * l->wide_pixel) {
        /* the padding of the last pixel's dword */
        memset(to + (size_t)w->columns * l->wide_pixel, 0, sizeof(lanes_dword));
        copy_line(in, line_of(in, w->image, y), w->left, 1, (size_t)w->columns, to, l->wide_pixel);
    }
}

/* The row of the padded maps, one below the other, at which the windows of an output row begin. */
static size_t padded_row(const struct inputs *in, size_t row)
{
    const struct conv_shape *s = in->call->shape;
    size_t height = (size_t)s->out_h;
    return row / height * in->layout->padded_h + row % height * (size_t)s->stride;
}

/* Packs the padded maps under output pixels [first, end), if scratch has space for them. */
static void copy_padded(struct inputs *in, size_t first, size_t end)
{
    const struct conv_shape *s = in->call->shape;
    const struct layout *l = in->layout;
    size_t top = padded_row(in, first / (size_t)s->out_w);
    size_t bottom = padded_row(in, (end - 1) / (size_t)s->out_w) + (size_t)s->kernel;
    unsigned char *to = in->call->scratch;
    in->copied = bottom - top <= padded_rows(s, l);
    in->copied_first = top;
    if (!in->copied)
        return;
    for (size_t row = top; row < bottom; row++, to += l->padded_w * l->wide_pixel) {
        int y = (int)(row % l->padded_h) - s->pad;
        copy_line(in, line_of(in, image_of(in, row / l->padded_h), y), -s->pad, 1, l->padded_w, to,
                  l->wide_pixel);
    }
    memset(to, 0, sizeof(lanes_dword));
}

/* Of a window in the padded maps. */
static void find_padded(const struct inputs *in, size_t first, struct dense_block *block)
{
    const struct conv_shape *s = in->call->shape;
    const struct layout *l = in->layout;
    size_t row = first / (size_t)s->out_w, column = first % (size_t)s->out_w * (size_t)s->stride;
    size_t line = padded_row(in, row) - in->copied_first;
    block->x += (line * l->padded_w + column) * l->wide_pixel;
    block->row = (size_t)s->stride * l->wide_pixel;
    block->line = l->padded_w * l->wide_pixel;
}

static void find_window(const struct inputs *in, size_t first, size_t pixels,
                        struct dense_block *block)
{
    const struct conv_shape *s = in->call->shape;
    const struct layout *l = in->layout;
    const struct window w = window_of(in, first, pixels);
    block->row = (size_t)s->stride * l->wide_pixel;
    if (is_window_in_place(in, &w)) {
        block->x = line_of(in, w.image, w.top) + (size_t)w.left * l->pixel;
        block->line = (size_t)s->in_w * l->pixel;
    } else {
        copy_window(in, &w);
        block->line = l->window_columns * l->wide_pixel;
    }
}

/* Points `block` to the inputs of its pixels. */
static void find_inputs(const struct inputs *in, size_t first, size_t pixels,
                        struct dense_block *block)
{
    const struct conv_shape *s = in->call->shape;
    const struct layout *l = in->layout;
    block->x = in->call->scratch;
    block->dwords = l->line_dwords;
    block->lines = (size_t)s->kernel;
    block->line = l->line_dwords * 4;
    block->row = l->copied_pixel;
    if (is_in_place(s, l)) {
        block->x = (const unsigned char *)in->call->x + first * l->pitch;
        block->row = l->pitch;
    } else if (s->kernel > 1 && in->copied) {
        find_padded(in, first, block);
    } else if (s->kernel > 1) {
        find_window(in, first, pixels, block);
    } else if (in->copied) {
        block->x += (first - in->copied_first) * l->copied_pixel;
    } else {
        dense_copy_pixels(in, first, first + pixels);
    }
}

/* Packs the inputs of all tiles of the call, if scratch has space for them. */
static void copy_whole_call(const struct dense_kernel *k, struct inputs *in)
{
    const struct conv_call *call = in->call;
    const struct layout *l = in->layout;
    size_t begin = (size_t)call->tile_begin, last = (size_t)call->tile_end - 1;
    size_t first = 0, end = l->pixels;
    if (begin / l->group_tiles == last / l->group_tiles) {
        first = begin % l->group_tiles * l->tile_pixels;
        end = tile_end(l, last % l->group_tiles);
    }
    if (call->shape->kernel > 1)
        copy_padded(in, first, end);
    else if (end - first <= copied_pixels(k, call->shape, l)) {
        dense_copy_pixels(in, first, end);
        in->copied = true;
        in->copied_first = first;
    }
}

/* The distance from a block's weights to those of the next group that it prefetches. The first
 * blocks of a group's pixels share the next group's weights among them. */
static size_t next_offset(const struct dense_kernel *k, const struct layout *l, size_t first)
{
    size_t part = first / k->blocks[0].pixels, parts = k->panel * 4 / DENSE_NEXT_BYTES;
    return part < parts ? l->group_panels * l->panel_bytes + part * l->panel_bytes / parts : 0;
}

/* The factors of a group of panels, [kind][channel], kinds `stride` floats apart. */
struct factors {
    const float *first;
    size_t stride;
};

/* The factors in scratch with the gate of `image` multiplied in. */
struct gated {
    float *factors;
    size_t group, image; /* SIZE_MAX: of none yet */
};

static struct factors packed_factors(const struct dense_kernel *k, const struct inputs *in,
                                     size_t group)
{
    const struct layout *l = in->layout;
    const unsigned char *packed = in->call->packed;
    return (struct factors){
        (const float *)(const void *)(packed + l->panels * l->panel_bytes) +
            group * l->group_channels,
        l->panels * k->panel,
    };
}

/* Makes them, if they are not there yet. */
static struct factors gated_factors(const struct dense_kernel *k, const struct inputs *in,
                                    size_t group, size_t image, struct gated *gated)
{
    const struct factors packed = packed_factors(k, in, group);
    size_t out = (size_t)in->call->shape->out_c, channels = in->layout->group_channels;
    size_t first = group * channels, left = first < out ? out - first : 0;
    if (gated->group != group || gated->image != image) {
        memset(gated->factors, 0, LANES_GATED_KINDS * channels * sizeof *gated->factors);
        lanes_gate_factors(k->format.precision, packed.first, packed.stride,
                           in->call->gate + image * out + first, left < channels ? left : channels,
                           gated->factors, channels);
        gated->group = group;
        gated->image = image;
    }
    return (struct factors){gated->factors, channels};
}

/* The shortcut of a call, as a call of its own; `inputs.call` is NULL without one. */
struct shortcut {
    struct conv_shape shape;
    struct conv_call call;
    struct layout layout;
    struct inputs inputs;
    float *sums; /* scratch */
};

/* Tiles are those of the call; only inputs are laid out as the shortcut's own. */
static void find_shortcut(const struct conv_kernel *self, const struct conv_call *call,
                          const struct layout *l, unsigned char *scratch, struct shortcut *out)
{
    const struct dense_kernel *kernel = self->impl;
    out->inputs.call = NULL;
    if (!call->shape->shortcut_c)
        return;
    out->shape = conv_shortcut(call->shape);
    out->layout = layout_of(kernel, &out->shape, call->images);
    out->layout.pitch = call->shortcut_pitch * precision_size(kernel->format.precision);
    out->layout.tile_pixels = l->tile_pixels;
    out->layout.group_tiles = l->group_tiles;
    out->sums = (float *)(void *)scratch;
    out->call = *call;
    out->call.shape = &out->shape;
    out->call.x = call->shortcut_x;
    out->call.packed =
        (const unsigned char *)call->packed + conv_packed_shortcut(self, call->shape);
    out->call.scratch = scratch + sums_size(kernel);
    out->inputs = (struct inputs){&out->call, &out->layout, kernel->format.copy, NULL, false, 0};
}

/* The shortcut's blocks for the panels of a group: sums are float32. */
static struct dense_block shortcut_block(const struct dense_kernel *kernel,
                                         const struct shortcut *shortcut, size_t first,
                                         size_t pixels)
{
    struct dense_block block; /* set field by field, as in run_pixels() */
    block.at = 0;
    block.out_c = kernel->panel;
    block.gated = false;
    block.epilogue.factor_stride = shortcut->layout.panels * kernel->panel;
    block.epilogue.residual = NULL;
    block.epilogue.shortcut = NULL;
    block.epilogue.y = shortcut->sums;
    block.epilogue.output = CONV_OUTPUT_FLOAT;
    block.epilogue.relu = false;
    block.epilogue.bounded = false;
    find_inputs(&shortcut->inputs, first, pixels, &block);
    return block;
}

static void run_shortcut(const struct dense_kernel *kernel, const struct shortcut *shortcut,
                         struct dense_block *block, int channels, size_t panel, int function)
{
    const struct layout *l = &shortcut->layout;
    const unsigned char *packed = shortcut->call.packed;
    block->weights = block->next = packed + panel * l->panel_bytes;
    block->epilogue.factors =
        (const float *)(const void *)(packed + l->panels * l->panel_bytes) + panel * kernel->panel;
    block->channels = channels;
    kernel->blocks[function].run(block);
}

/* A block of pixels of a tile, for all panels of the group. */
static void run_pixels(const struct dense_kernel *kernel, const struct inputs *in,
                       const struct shortcut *shortcut, size_t group, size_t first, int function,
                       struct gated *gated)
{
    const struct conv_call *call = in->call;
    const struct layout *l = in->layout;
    const unsigned char *weights = call->packed;
    size_t begin = group * l->group_panels, end = begin + l->group_panels, width = kernel->panel;
    size_t next = next_offset(kernel, l, first), pixels = kernel->blocks[function].pixels;
    const struct factors factors =
        call->gate ? gated_factors(kernel, in, group, first / map_of(call->shape), gated)
                   : packed_factors(kernel, in, group);
    bool adds = shortcut->inputs.call != NULL;
    struct dense_block second;
    struct dense_block block; /* set field by field: as a whole it would be cleared first */
    block.out_c = (size_t)call->shape->out_c;
    block.gated = call->gate != NULL;
    block.epilogue.factor_stride = factors.stride;
    block.epilogue.residual = call->residual;
    block.epilogue.shortcut = adds ? shortcut->sums : NULL;
    block.epilogue.y = call->y;
    block.epilogue.output = call->output;
    block.epilogue.relu = call->relu;
    block.epilogue.bounded = call->bounded;
    find_inputs(in, first, pixels, &block);
    if (adds)
        second = shortcut_block(kernel, shortcut, first, pixels);
    for (size_t panel = begin; panel < end && panel < l->panels; panel++) {
        size_t channel = panel * width, left = block.out_c - channel;
        block.weights = weights + panel * l->panel_bytes;
        block.next = block.weights + (panel + l->group_panels < l->panels ? next : 0);
        block.epilogue.factors = factors.first + (panel - begin) * width;
        block.at = first * block.out_c + channel;
        block.channels = (int)(left < width ? left : width);
        if (adds)
            run_shortcut(kernel, shortcut, &second, block.channels, panel, function);
        kernel->blocks[function].run(&block);
    }
}

/* How many of `left` pixels from `first` on may form a block: a window lies in one output row, and
 * a gate is that of one image. */
static size_t block_limit(const struct conv_call *call, size_t first, size_t left)
{
    const struct conv_shape *s = call->shape;
    if (s->kernel == 1 && !call->gate)
        return left;
    size_t unit = s->kernel == 1 ? map_of(s) : (size_t)s->out_w, rest = unit - first % unit;
    return rest < left ? rest : left;
}

/* The micro-kernel for the next of `left` pixels: the largest, unless it leaves fewer than `min`.
 */
static int choose_block(const struct dense_kernel *kernel, size_t left)
{
    int f = 0;
    while (kernel->blocks[f].pixels > left)
        f++;
    size_t rest = left - kernel->blocks[f].pixels;
    if (rest > 0 && rest < kernel->min && kernel->blocks[f + 1].pixels >= kernel->min)
        f++;
    return f;
}

/* Packs the inputs of a call, if they can be packed once for all panels. */
static void prepare(const struct dense_kernel *kernel, struct inputs *in)
{
    const struct conv_call *call = in->call;
    if (!is_in_place(call->shape, in->layout) && call->tile_begin < call->tile_end)
        copy_whole_call(kernel, in);
}

static void dense_run_tiles(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct dense_kernel *kernel = self->impl;
    const struct conv_shape *s = call->shape;
    struct layout l = layout_of(kernel, s, call->images);
    struct inputs in = {
        .call = call,
        .layout = &l,
        .copy = kernel->format.copy,
        .padding = (const unsigned char *)call->packed + l.panels * l.panel_bytes + l.factor_bytes,
    };
    unsigned char *scratch = call->scratch;
    struct gated gated = {(float *)(void *)(scratch + inputs_size(kernel, s, &l)), SIZE_MAX,
                          SIZE_MAX};
    struct shortcut shortcut;
    find_shortcut(self, call, &l, scratch + own_size(kernel, s, &l), &shortcut);
    prepare(kernel, &in);
    if (shortcut.inputs.call)
        prepare(kernel, &shortcut.inputs);
    for (int t = call->tile_begin; t < call->tile_end; t++) {
        size_t at = (size_t)t % l.group_tiles * l.tile_pixels;
        size_t end = tile_end(&l, (size_t)t % l.group_tiles);
        for (int f; at < end; at += kernel->blocks[f].pixels) {
            f = choose_block(kernel, block_limit(call, at, end - at));
            run_pixels(kernel, &in, &shortcut, (size_t)t / l.group_tiles, at, f, &gated);
        }
    }
}

const struct conv_method dense_method = {
    .packed_size = dense_packed_size,
    .pack = dense_pack,
    .tile_count = dense_tile_count,
    .scratch_size = dense_scratch_size,
    .run = dense_run_tiles,
};
