/* THE CONTRACT between the network and the code that computes it.
 *
 * Layout. Activations are NHWC: [images][height][width][channels], channels fastest, no padding
 * between rows, every buffer aligned to 64 bytes. Their elements are those of the precision (see
 * kernel/element.h): float32, bfloat16, or unsigned bytes that stand for (q - zero point) * scale,
 * with a scale for each channel. Weights arrive in PyTorch's order, [out_channels][in_channels /
 * groups][kernel][kernel], batch norm already folded in. They are packed once, at load, in a format
 * that the kernel chooses; packed weights are read-only and shared.
 *
 * Work. A kernel cuts a convolution into tiles that can be computed in any order and at the same
 * time. The number of tiles depends only on the shape and the number of images. Consecutive tiles
 * read partly the same data, so a thread takes runs of them. A call computes tiles [tile_begin,
 * tile_end) and writes nothing else, so calls on disjoint ranges may run at once in several
 * threads, each with its own scratch. A kernel never starts a thread, never allocates, and never
 * reads outside the buffers that it gets, except up to KERNEL_OVERREAD bytes behind x and behind
 * the scratch.
 *
 * Neither the packed weights nor the arithmetic of an output depends on a shape's height, since the
 * test of a model at load uses maps that are cut to a few rows.
 *
 * Padding. Pixels outside the image are 0; in int8, they are the bytes that stand for 0.
 *
 * A kernel is one row of kernel/kernels.def. The search goes from the last row to the first, and
 * takes the first kernel that has the precision, that the machine can run, and that `supports` the
 * shape. The references support every shape, so they are the first rows. */
#ifndef RESNEXT_KERNEL_KERNEL_H
#define RESNEXT_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#include "kernel/element.h"

enum {
    KERNEL_OVERREAD = 64,
    CONV_QUAD_LIMIT = 128,
    CONV_WORD_MAX = 2043,
    CONV_BOUND = 1 << 30,
};
_Static_assert(CONV_QUAD_LIMIT * 255 <= INT16_MAX, "products of a quad fit 16 bits");

/* A convolution with a square kernel. in_c and out_c count all groups; both are multiples of
 * `groups`. A 1x1 convolution with one group and `shortcut_c` > 0 has a shortcut: a 1x1 convolution
 * of another map, [shortcut_h][shortcut_w][shortcut_c], with the stride shortcut_stride, whose
 * outputs, in float32, are its residual. */
struct conv_shape {
    int in_h, in_w, in_c;
    int out_h, out_w, out_c;
    int kernel, stride, pad, groups;
    int shortcut_h, shortcut_w, shortcut_c, shortcut_stride;
};

/* The shape without its shortcut, and that of the shortcut alone. */
struct conv_shape conv_own(const struct conv_shape *shape);
struct conv_shape conv_shortcut(const struct conv_shape *shape);

/* The number of weights: out_c * (in_c / groups) * kernel * kernel. */
size_t conv_weight_count(const struct conv_shape *shape);

/* The weights to pack. The caller keeps the arrays.
 *
 * For int8, requantize() in kernel/quantize.h turns a sum of products into an output, with the
 * `multiplier`, `offset` and `residual_multiplier` (NULL without a residual) of its channel. With a
 * gate, sum * multiplier + offset is multiplied by it, and `gated_offset` is added afterwards.
 *
 * The int8 weights of a 1x1 kernel are limited, so that the sum of four products of a weight and a
 * byte fits 16 bits: among a group's input channels 8i + {0, 1, 4, 5}, and among 8i + {2, 3, 6, 7},
 * the weights of one sign add up to CONV_QUAD_LIMIT at most. */
struct conv_weights {
    const float *weights;    /* [out_c][in_c / groups][kernel][kernel]; not for int8 */
    const float *bias;       /* [out_c]; not for int8 */
    const int8_t *quantized; /* the same, -127..127; int8 only, as is what follows */
    const float *multiplier, *offset, *residual_multiplier; /* [out_c] */
    const float *gated_offset;                              /* [out_c]; NULL without a gate */
    const uint8_t *padding;                                 /* [in_c] */
};

/* What y consists of: elements of the precision; float32, which in int8 is sum * multiplier +
 * offset; or, in int8, words, unsigned numbers of 16 bits, which are requantized as bytes are but
 * clipped to 0..CONV_WORD_MAX. With float32 and words there is no gate and no residual. */
enum conv_output { CONV_OUTPUT_ELEMENT, CONV_OUTPUT_FLOAT, CONV_OUTPUT_WORD };

/* One call: y[tiles] = act((conv(x, w) + bias) * gate + residual). `gate` (or NULL) is float32,
 * [images][out_c]; only a shape with one group has it. `residual` (or NULL) has y's layout and
 * elements and may be y itself. With a shortcut it is NULL: that reads `shortcut_x`, whose pixels
 * are `shortcut_pitch` elements apart. `scratch` has scratch_size bytes, is aligned, and is private
 * to the calling thread. */
struct conv_call {
    const struct conv_shape *shape;
    const void *packed;
    const void *x;
    const float *gate;
    const void *residual;
    const void *shortcut_x;
    size_t shortcut_pitch;
    void *y;
    enum conv_output output;
    bool relu;    /* of elements and words in int8, a zero point of 0 has this effect */
    bool bounded; /* int8: no output is larger than CONV_BOUND in size before it is rounded; this
                     spares instructions */
    int images;
    int tile_begin, tile_end;
    void *scratch;
};

/* An algorithm, which kernels of several instruction sets share. */
struct conv_kernel;
struct conv_method {
    size_t (*packed_size)(const struct conv_kernel *self, const struct conv_shape *shape);
    /* A shape with a shortcut is packed in two calls: its own weights at `packed`, with conv_own(),
     * and the shortcut's conv_packed_shortcut() bytes behind, with conv_shortcut(). */
    void (*pack)(const struct conv_kernel *self, const struct conv_shape *shape,
                 const struct conv_weights *weights, void *packed);
    int (*tile_count)(const struct conv_kernel *self, const struct conv_shape *shape, int images);
    size_t (*scratch_size)(const struct conv_kernel *self, const struct conv_shape *shape);
    void (*run)(const struct conv_kernel *self, const struct conv_call *call);
    /* NULL unless the method uses a library. `check_memory`: ERR_NO_MEMORY unless there is the
     * memory that the library needs for `threads` more threads; call it before these start.
     * `library`: the names of the library and of the core for which it selected its code, e.g.
     * "OpenBLAS SkylakeX". */
    int (*check_memory)(int threads, struct error *err);
    const char *(*library)(void);
};

/* Bytes of an output. */
static inline size_t conv_output_size(enum precision precision, enum conv_output output)
{
    return output == CONV_OUTPUT_FLOAT  ? sizeof(float)
           : output == CONV_OUTPUT_WORD ? sizeof(uint16_t)
                                        : precision_size(precision);
}

/* One convolution kernel. */
struct conv_kernel {
    const char *name; /* <precision>_<operation>__<isa>, e.g. f32_dense__avx2 */
    const char *isa;  /* its instruction set: ref, generic, avx2, ... */
    enum precision precision;
    bool (*supports)(const struct conv_shape *shape);
    const struct conv_method *method;
    const void *impl; /* the method's parameters for this kernel, or NULL */
};

/* Where the shortcut of a shape is packed, in bytes from its own weights on. */
size_t conv_packed_shortcut(const struct conv_kernel *kernel, const struct conv_shape *shape);

/* The instruction sets in use: those up to `top` that this machine has. */
struct kernel_isas {
    int top;
    uint32_t mask; /* bit i: ISA i */
};

/* Selects every ISA up to `name` (NULL or "auto": the highest that this machine has). False if the
 * name is unknown or the machine lacks this ISA. */
bool kernel_isas_select(const char *name, struct kernel_isas *isas);

/* The values of an option: "auto", and the names of the ISAs, lowest first; NULL-terminated. */
extern const char *const kernel_isa_choices[];

/* The ISAs that this machine has, for messages: "ref, generic, avx2". */
enum { KERNEL_ISAS_TEXT = 128 };
void kernel_isas_here(char text[KERNEL_ISAS_TEXT]);

/* The kernel of `isas` for a shape. Never NULL. Any thread. */
const struct conv_kernel *kernel_conv(struct kernel_isas isas, enum precision precision,
                                      const struct conv_shape *shape);

/* For messages: the kernel's library with its core, or the kernel's ISA. */
const char *kernel_runs_on(const struct conv_kernel *kernel);

/* Whether this machine can run the kernel. */
bool kernel_runs_here(const struct conv_kernel *kernel);

/* Every row, lowest first, for the checker and the micro-benchmark. */
const struct conv_kernel *const *kernel_conv_list(size_t *count);

#endif
