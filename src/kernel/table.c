#include <string.h>

#include "base/check.h"
#include "kernel/kernel.h"
#include "kernel/openblas/openblas.h"
#include "kernel/ref/ref.h"

/* The ladder, lowest rung first. OpenBLAS chooses among its own kernels by CPU, so every machine
 * has both rungs. */
static const char *const rungs[] = {"ref", "openblas", NULL};

/* The kernels, those of a lower rung first; of two that support a shape the later is taken. */
static const struct conv_kernel *const kernels[] = {
    &f32_conv__ref,
    &f32_im2col__openblas,
    &f32_grouped__openblas,
    &f32_pointwise__openblas,
};

enum {
    KERNEL_COUNT = sizeof kernels / sizeof kernels[0],
    TOP_RUNG = sizeof rungs / sizeof rungs[0] - 2
};

static int rung_index(const char *name)
{
    for (int i = 0; rungs[i]; i++)
        if (strcmp(rungs[i], name) == 0)
            return i;
    return -1;
}

bool kernel_ladder_select(const char *name, struct kernel_ladder *ladder)
{
    int rung = !name || strcmp(name, "auto") == 0 ? TOP_RUNG : rung_index(name);
    if (rung < 0)
        return false;
    ladder->top = rung;
    return true;
}

size_t conv_weight_count(const struct conv_shape *s)
{
    return (size_t)s->out_c * (size_t)(s->in_c / s->groups) * (size_t)s->kernel * (size_t)s->kernel;
}

const char *kernel_ladder_name(struct kernel_ladder ladder)
{
    return rungs[ladder.top];
}

const char *const *kernel_rung_names(void)
{
    return rungs;
}

const struct conv_kernel *kernel_conv(struct kernel_ladder ladder, const struct conv_shape *shape)
{
    for (size_t i = KERNEL_COUNT; i-- > 0;)
        if (rung_index(kernels[i]->isa) <= ladder.top && kernels[i]->supports(shape))
            return kernels[i];
    CHECK(false && "the reference supports every shape");
    return NULL;
}

const struct conv_kernel *const *kernel_conv_list(size_t *count)
{
    *count = KERNEL_COUNT;
    return kernels;
}
