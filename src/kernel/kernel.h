/* THE CONTRACT between the network and the code that computes it.
 *
 * Layout. Activations are NHWC: [images][height][width][channels], channels fastest, no padding
 * between rows, every buffer aligned to 64 bytes. Weights arrive as PyTorch has them,
 * [out_channels][in_channels / groups][kernel][kernel], batch norm already folded in, and are
 * packed once, at load, into whatever the kernel likes best; packed weights are read-only and
 * shared.
 *
 * Work. A convolution is cut into output rows: row r of `images * out_h` is row r % out_h of image
 * r / out_h. A call computes rows [row_begin, row_end) and writes nothing else, so calls on
 * disjoint ranges may run at once in several threads, each with its own scratch. A kernel never
 * starts a thread, never allocates and never reads outside the buffers it was given. Padding is
 * with 0.
 *
 * A kernel is one row of the list in kernel/table.c. Rows are tried from the last to the first: the
 * first that the machine can run and whose `supports` says yes is taken, so the reference, which
 * supports everything, stands first. */
#ifndef RESNEXT_KERNEL_KERNEL_H
#define RESNEXT_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A convolution with a square kernel. in_c and out_c count all groups; both are multiples of
 * `groups`. */
struct conv_shape {
    int in_h, in_w, in_c;
    int out_h, out_w, out_c;
    int kernel, stride, pad, groups;
};

/* How many weights it has: out_c * (in_c / groups) * kernel * kernel. */
size_t conv_weight_count(const struct conv_shape *shape);

/* One call: y[rows] = act(conv(x, w) + bias + residual). `residual` (or NULL) has y's layout and
 * may be y itself. `scratch` is aligned, private to the calling thread, scratch_size bytes. */
struct conv_call {
    const struct conv_shape *shape;
    const void *packed;
    const float *x;
    const float *residual;
    float *y;
    bool relu;
    int row_begin, row_end;
    void *scratch;
};

/* One convolution kernel for float32. */
struct conv_kernel {
    const char *name; /* f32_<operation>__<isa>, e.g. f32_pointwise__openblas */
    const char *isa;  /* the rung of the ladder it belongs to: ref, openblas, avx2, ... */
    bool (*supports)(const struct conv_shape *shape);
    size_t (*packed_size)(const struct conv_shape *shape);
    void (*pack)(const struct conv_shape *shape, const float *weights, const float *bias,
                 void *packed);
    size_t (*scratch_size)(const struct conv_shape *shape);
    void (*run)(const struct conv_call *call);
};

/* The rungs of the ladder that are in use: 0..top. */
struct kernel_ladder {
    int top;
};

/* Everything up to the rung `name` (NULL or "auto": the highest that this machine has). False if
 * the name is unknown or the machine lacks it. */
bool kernel_ladder_select(const char *name, struct kernel_ladder *ladder);
const char *kernel_ladder_name(struct kernel_ladder ladder);

/* The rungs' names, lowest first, NULL-terminated; for --help and messages. */
const char *const *kernel_rung_names(void);

/* The kernel that `ladder` gives for a shape. Never NULL. Any thread. */
const struct conv_kernel *kernel_conv(struct kernel_ladder ladder, const struct conv_shape *shape);

/* Every row, lowest first, for the checker and the micro-benchmark. */
const struct conv_kernel *const *kernel_conv_list(size_t *count);

/* The name of the core that OpenBLAS chose its kernels for, e.g. "SkylakeX". */
const char *kernel_blas_core(void);

#endif
