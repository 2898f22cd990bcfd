/* The micro-benchmark: every kernel that this machine can run, on every convolution of a network
 * (default: ResNeXt-50 32x4d), one thread, one image. Kernels take turns, the best time of each
 * counts. Usage: bench_conv [TEMPLATE] [f32|bf16|int8]; not run by `make check`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "model/template.h"
#include "tests/random.h"
#include "tool/peak.h"

enum { MAX_KERNELS = 64, ROUNDS = 12, ALIGNMENT = 64 };

/* Random numbers of any kind, as many as the largest layer needs. */
struct numbers {
    float *floats;
    unsigned char *x, *y, *residual;
};

/* A kernel with packed weights for one layer. */
struct runner {
    const struct conv_kernel *kernel;
    void *packed, *scratch;
    double ms;
};

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(ALIGNMENT, (bytes + 2 * ALIGNMENT) / ALIGNMENT * ALIGNMENT);
    if (!p)
        abort();
    memset(p, 0, bytes);
    return p;
}

/* The library that kernels run on. */
static const char *library(void)
{
    size_t count;
    const struct conv_kernel *const *list = kernel_conv_list(&count);
    for (size_t i = 0; i < count; i++)
        if (list[i]->method->library)
            return list[i]->method->library();
    return "no library";
}

static size_t largest(const struct layer *layers, size_t count)
{
    size_t max = 0;
    for (size_t i = 0; i < count; i++) {
        const struct conv_shape *s = &layers[i].shape;
        size_t sizes[] = {conv_weight_count(s), (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c,
                          (size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c};
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
            max = sizes[k] > max ? sizes[k] : max;
    }
    return max;
}

static struct numbers make_numbers(size_t count)
{
    uint64_t seed = 1;
    size_t bytes = count * sizeof(float);
    struct numbers n = {aligned(bytes), aligned(bytes), aligned(bytes), aligned(bytes)};
    random_floats(&seed, n.floats, count);
    memcpy(n.x, n.floats, bytes);
    memcpy(n.residual, n.floats, bytes);
    return n;
}

/* (Weights of int8 are larger than they may be: time does not depend on them.) */
static void set_up(struct runner *r, const struct conv_shape *s, const struct numbers *n)
{
    const struct conv_weights weights = {
        .weights = n->floats,
        .bias = n->floats,
        .quantized = (const int8_t *)n->floats,
        .multiplier = n->floats,
        .offset = n->floats,
        .residual_multiplier = n->floats,
        .gated_offset = n->floats,
        .padding = n->x,
    };
    r->packed = aligned(r->kernel->method->packed_size(r->kernel, s));
    r->scratch = aligned(r->kernel->method->scratch_size(r->kernel, s) + KERNEL_OVERREAD);
    r->kernel->method->pack(r->kernel, s, &weights, r->packed);
    r->ms = 1e9;
}

static void run_once(struct runner *r, const struct layer *layer, const struct numbers *n)
{
    const struct conv_shape *s = &layer->shape;
    int64_t start = clock_monotonic_ns();
    r->kernel->method->run(r->kernel,
                           &(struct conv_call){
                               .shape = s,
                               .packed = r->packed,
                               .x = n->x,
                               .gate = layer->gate ? n->floats : NULL,
                               .residual = layer->residual == LAYER_NO_VALUE ? NULL : n->residual,
                               .y = n->y,
                               .relu = layer->relu,
                               .bounded = true,
                               .images = 1,
                               .tile_end = r->kernel->method->tile_count(r->kernel, s, 1),
                               .scratch = r->scratch,
                           });
    double ms = clock_ns_to_ms(clock_monotonic_ns() - start);
    r->ms = ms < r->ms ? ms : r->ms;
}

/* Times all kernels on a layer; returns how many there are, in `runners`. */
static size_t time_layer(const struct layer *layer, const struct numbers *n, const char *precision,
                         struct runner runners[MAX_KERNELS])
{
    size_t kernels, count = 0;
    const struct conv_kernel *const *list = kernel_conv_list(&kernels);
    for (size_t k = 0; k < kernels; k++) {
        bool wanted = !precision || strcmp(precision, precision_name(list[k]->precision)) == 0;
        if (!wanted || strcmp(list[k]->isa, "ref") == 0 || !kernel_runs_here(list[k]) ||
            !list[k]->supports(&layer->shape))
            continue;
        runners[count].kernel = list[k];
        set_up(&runners[count++], &layer->shape, n);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (size_t k = 0; k < count; k++)
            run_once(&runners[k], layer, n);
    for (size_t k = 0; k < count; k++) {
        free(runners[k].packed);
        free(runners[k].scratch);
    }
    return count;
}

/* What a network takes on each ISA: its kernel, or that of the next lower one. */
struct totals {
    double ms[PRECISION_COUNT][MAX_KERNELS];
};

static void add_to_totals(struct totals *t, const struct layer *layer, const struct runner *runners,
                          size_t count)
{
    const char *const *names = kernel_isa_choices + 1;
    for (int i = 0; names[i]; i++) {
        struct kernel_isas isas;
        if (!kernel_isas_select(names[i], &isas))
            continue;
        for (enum precision p = 0; p < PRECISION_COUNT; p++)
            for (size_t k = 0; k < count; k++)
                if (runners[k].kernel == kernel_conv(isas, p, &layer->shape))
                    t->ms[p][i] += runners[k].ms;
    }
}

static void print_layer(const struct layer *layer, const struct runner *runners, size_t count,
                        double peak)
{
    const struct conv_shape *s = &layer->shape;
    printf("%-18s %3dx%-3d %4d -> %4d  %dx%d/%d  groups %d\n", layer->name, s->in_h, s->in_w,
           s->in_c, s->out_c, s->kernel, s->kernel, s->stride, s->groups);
    for (size_t k = 0; k < count; k++) {
        double gops = 2e-6 * (double)layer_multiply_adds(layer) / runners[k].ms;
        printf("    %-28s %8.3f ms %7.1f GOP/s  %.2f of float32's peak\n", runners[k].kernel->name,
               runners[k].ms, gops, gops / peak);
    }
}

static void print_totals(const struct totals *t, const char *template)
{
    const char *const *names = kernel_isa_choices + 1;
    printf("%s, all convolutions and the classifier, one image, one thread:\n", template);
    for (enum precision p = 0; p < PRECISION_COUNT; p++)
        for (int i = 0; names[i]; i++)
            if (t->ms[p][i] > 0)
                printf("    %-5s --isa %-12s %8.2f ms\n", precision_name(p), names[i], t->ms[p][i]);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "resnext50_32x4d";
    static struct totals totals;
    struct runner runners[MAX_KERNELS];
    struct template t;
    struct layer *layers;
    size_t count;
    struct error err;
    if (template_from_name(name, &t, &err) != ERR_OK ||
        template_layers(&t, &layers, &count, &err) != ERR_OK) {
        fprintf(stderr, "bench_conv: %s\n", err.message);
        return EXIT_FAILURE;
    }
    struct numbers numbers = make_numbers(largest(layers, count));
    struct fma_peak peak = peak_measure(cpu_features(), PRECISION_F32);
    char cpu[CPU_NAME_MAX];
    cpu_name(cpu);
    printf("%s, %s, float32 peak %.0f GFLOP/s (%s)\n", cpu, library(), peak.gflops, peak.isa);
    for (size_t i = 0; i < count; i++) {
        if (!layer_has_kernel(&layers[i]))
            continue;
        size_t kernels = time_layer(&layers[i], &numbers, argc > 2 ? argv[2] : NULL, runners);
        print_layer(&layers[i], runners, kernels, peak.gflops);
        add_to_totals(&totals, &layers[i], runners, kernels);
    }
    print_totals(&totals, name);
    free(layers);
    free(numbers.floats);
    free(numbers.x);
    free(numbers.y);
    free(numbers.residual);
    return EXIT_SUCCESS;
}
