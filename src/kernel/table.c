#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/cpu.h"
#include "kernel/kernel.h"

#define KERNEL(symbol) extern const struct conv_kernel symbol;
#include "kernel/kernels.def"

static const char *const rungs[] = {
#define RUNG(name, needs) #name,
#include "kernel/kernels.def"
    NULL};

static const struct conv_kernel *const kernels[] = {
#define KERNEL(symbol) &symbol,
#include "kernel/kernels.def"
};

enum { KERNEL_COUNT = sizeof kernels / sizeof kernels[0] };

static int rung_index(const char *name)
{
    for (int i = 0; rungs[i]; i++)
        if (strcmp(rungs[i], name) == 0)
            return i;
    return -1;
}

/* Bit i: rung i. */
static uint32_t rungs_of(struct cpu_features cpu)
{
    const bool has[] = {
#define RUNG(name, needs) needs,
#include "kernel/kernels.def"
    };
    uint32_t bits = 0;
    (void)cpu; /* not every machine asks */
    for (size_t i = 0; i < sizeof has / sizeof has[0]; i++)
        bits |= (uint32_t)has[i] << i;
    return bits;
}

bool kernel_ladder_select(const char *name, struct kernel_ladder *ladder)
{
    uint32_t here = rungs_of(cpu_features());
    bool any = !name || strcmp(name, "auto") == 0;
    *ladder = (struct kernel_ladder){0};
    for (int i = 0; rungs[i]; i++) {
        if (!(here >> i & 1))
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
    return kernel->method->library ? kernel->method->library() : kernel->isa;
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
