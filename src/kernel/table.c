#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/cpu.h"
#include "base/size.h"
#include "kernel/kernel.h"

#define KERNEL(symbol) extern const struct conv_kernel symbol;
#include "kernel/kernels.def"

const char *const kernel_isa_choices[] = {"auto",
#define ISA(name, needs) #name,
#include "kernel/kernels.def"
                                          NULL};
static const char *const *const isa_names = kernel_isa_choices + 1;
const char *const precision_names[] = {PRECISION_NAMES(NAME_TEXT) NULL};

static const struct conv_kernel *const kernels[] = {
#define KERNEL(symbol) &symbol,
#include "kernel/kernels.def"
};

enum { KERNEL_COUNT = sizeof kernels / sizeof kernels[0] };

/* Bit i: ISA i. */
static uint32_t isas_of(struct cpu_features cpu)
{
    const bool has[] = {
#define ISA(name, needs) needs,
#include "kernel/kernels.def"
    };
    uint32_t bits = 0;
    (void)cpu; /* not every machine asks */
    for (size_t i = 0; i < sizeof has / sizeof has[0]; i++)
        bits |= (uint32_t)has[i] << i;
    return bits;
}

bool kernel_isas_select(const char *name, struct kernel_isas *isas)
{
    uint32_t here = isas_of(cpu_features());
    bool any = !name || strcmp(name, "auto") == 0;
    *isas = (struct kernel_isas){0};
    for (int i = 0; isa_names[i]; i++) {
        if (!(here >> i & 1))
            continue;
        isas->top = i;
        isas->mask |= 1U << i;
        if (!any && strcmp(isa_names[i], name) == 0)
            return true;
    }
    return any;
}

static bool isas_have(struct kernel_isas isas, const struct conv_kernel *kernel)
{
    return isas.mask >> names_find(isa_names, kernel->isa) & 1;
}

enum { PACKED_ALIGNMENT = 64 };

struct conv_shape conv_own(const struct conv_shape *s)
{
    struct conv_shape own = *s;
    own.shortcut_h = own.shortcut_w = own.shortcut_c = own.shortcut_stride = 0;
    return own;
}

struct conv_shape conv_shortcut(const struct conv_shape *s)
{
    return (struct conv_shape){
        .in_h = s->shortcut_h,
        .in_w = s->shortcut_w,
        .in_c = s->shortcut_c,
        .out_h = s->out_h,
        .out_w = s->out_w,
        .out_c = s->out_c,
        .kernel = 1,
        .stride = s->shortcut_stride,
        .groups = 1,
    };
}

size_t conv_packed_shortcut(const struct conv_kernel *kernel, const struct conv_shape *s)
{
    const struct conv_shape own = conv_own(s);
    return size_round_up(kernel->method->packed_size(kernel, &own), PACKED_ALIGNMENT);
}

size_t conv_weight_count(const struct conv_shape *s)
{
    return (size_t)s->out_c * (size_t)(s->in_c / s->groups) * (size_t)s->kernel * (size_t)s->kernel;
}

void kernel_isas_here(char text[KERNEL_ISAS_TEXT])
{
    struct kernel_isas isas;
    size_t length = 0;
    kernel_isas_select(NULL, &isas);
    for (int i = 0; isa_names[i]; i++)
        if (isas.mask >> i & 1)
            length += (size_t)snprintf(text + length, KERNEL_ISAS_TEXT - length, "%s%s",
                                       i ? ", " : "", isa_names[i]);
    CHECK(length < KERNEL_ISAS_TEXT);
}

const struct conv_kernel *kernel_conv(struct kernel_isas isas, enum precision precision,
                                      const struct conv_shape *shape)
{
    for (size_t i = KERNEL_COUNT; i-- > 0;)
        if (kernels[i]->precision == precision && isas_have(isas, kernels[i]) &&
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
    struct kernel_isas isas;
    kernel_isas_select(NULL, &isas);
    return isas_have(isas, kernel);
}

const char *precision_name(enum precision precision)
{
    return precision_names[precision];
}

const struct conv_kernel *const *kernel_conv_list(size_t *count)
{
    *count = KERNEL_COUNT;
    return kernels;
}
