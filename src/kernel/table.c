#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "kernel/avx2/avx2.h"
#include "kernel/avx512/avx512.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"
#include "kernel/openblas/openblas.h"
#include "kernel/ref/ref.h"

/* The ladder, lowest rung first. OpenBLAS chooses among its own kernels by CPU, so every machine
 * has the first two. */
static const char *const rungs[] = {"ref",    "openblas",    "avx2",        "avx_vnni",
                                    "avx512", "avx512_vnni", "avx512_bf16", NULL};

/* The kernels, those of a lower rung first; of two that support a shape the later is taken. */
/* clang-format off */
static const struct conv_kernel *const kernels[] = {
    &f32_conv__ref,
    &bf16_conv__ref,
    &int8_conv__ref,
    &f32_im2col__openblas,
    &f32_grouped__openblas,
    &f32_pointwise__openblas,
#ifdef __x86_64__
    &f32_grouped__openblas_avx2,
    &f32_dense__avx2,

    &bf16_dense__avx2,
    &bf16_grouped__avx2,
    &int8_dense__avx2,
    &int8_pointwise__avx2,
    &int8_grouped__avx2,
    &int8_dense__avx_vnni,
    &int8_grouped__avx_vnni,
    &f32_dense__avx512,

    &int8_dense__avx512_vnni,
    &int8_grouped__avx512_vnni,
    &bf16_dense__avx512_bf16,
    &bf16_grouped__avx512_bf16,
#endif
};
/* clang-format on */

enum { KERNEL_COUNT = sizeof kernels / sizeof kernels[0] };

static int rung_index(const char *name)
{
    for (int i = 0; rungs[i]; i++)
        if (strcmp(rungs[i], name) == 0)
            return i;
    return -1;
}

static bool machine_has(const struct cpu_features *cpu, const char *rung)
{
    const struct {
        const char *rung;
        bool has;
    } needs[] = {
        {"avx2", cpu->avx2},
        {"avx_vnni", cpu->avx_vnni},
        {"avx512", cpu->avx512},
        {"avx512_vnni", cpu->avx512_vnni},
        {"avx512_bf16", cpu->avx512_bf16},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (strcmp(rung, needs[i].rung) == 0)
            return needs[i].has;
    return true;
}

bool kernel_ladder_select(const char *name, struct kernel_ladder *ladder)
{
    struct cpu_features cpu = cpu_features();
    bool any = !name || strcmp(name, "auto") == 0;
    *ladder = (struct kernel_ladder){0};
    for (int i = 0; rungs[i]; i++) {
        if (!machine_has(&cpu, rungs[i]))
            continue;
        ladder->top = i;
        ladder->rungs |= 1U << i;
        if (!any && strcmp(rungs[i], name) == 0)
            return true;
    }
    return any;
}

static bool ladder_has(struct kernel_ladder ladder, const struct conv_kernel *kernel)
{
    return ladder.rungs >> rung_index(kernel->isa) & 1;
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

void kernel_rungs_here(char text[KERNEL_RUNGS_TEXT])
{
    struct kernel_ladder ladder;
    size_t length = 0;
    kernel_ladder_select(NULL, &ladder);
    for (int i = 0; rungs[i]; i++)
        if (ladder.rungs >> i & 1)
            length += (size_t)snprintf(text + length, KERNEL_RUNGS_TEXT - length, "%s%s",
                                       i ? ", " : "", rungs[i]);
    CHECK(length < KERNEL_RUNGS_TEXT);
}

const struct conv_kernel *kernel_conv(struct kernel_ladder ladder, enum precision precision,
                                      const struct conv_shape *shape)
{
    for (size_t i = KERNEL_COUNT; i-- > 0;)
        if (kernels[i]->precision == precision && ladder_has(ladder, kernels[i]) &&
            kernels[i]->supports(shape))
            return kernels[i];
    CHECK(false && "the references support every shape");
    return NULL;
}

const char *kernel_runs_on(const struct conv_kernel *kernel)
{
    return kernel->library ? kernel->library() : kernel->isa;
}

bool kernel_runs_here(const struct conv_kernel *kernel)
{
    struct kernel_ladder ladder;
    kernel_ladder_select(NULL, &ladder);
    return ladder_has(ladder, kernel);
}

const char *precision_name(enum precision precision)
{
    static const char *const names[PRECISION_COUNT] = {"f32", "bf16", "int8"};
    return names[precision];
}

const struct conv_kernel *const *kernel_conv_list(size_t *count)
{
    *count = KERNEL_COUNT;
    return kernels;
}
