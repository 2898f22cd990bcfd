#include "nn/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/size.h"
#include "nn/plan.h"
#include "nn/pool.h"

/* A layer with its kernel (NULL for pooling) and its place in the packed weights. */
struct step {
    const struct conv_kernel *kernel;
    void *packed;
};

struct network {
    struct layer *layers;
    struct step *steps;
    size_t count;
    struct plan plan;
    struct arena weights;
    size_t scratch_size;
};

struct workspace {
    struct arena memory;
    float *activations;
    void *scratch;
    int max_images;
};

/* Chooses the kernels; `*weight_size` is what all packed weights need. */
static int choose_kernels(struct network *n, struct kernel_ladder ladder, size_t *weight_size,
                          struct error *err)
{
    *weight_size = 0;
    for (size_t i = 0; i < n->count; i++) {
        const struct conv_shape *shape = &n->layers[i].shape;
        if (!layer_has_weights(&n->layers[i]))
            continue;
        const struct conv_kernel *kernel = kernel_conv(ladder, shape);
        n->steps[i].kernel = kernel;
        if (!size_add(*weight_size, arena_rounded(kernel->packed_size(shape)), weight_size))
            return error_set(err, ERR_MODEL_UNSUPPORTED, "the weights are too large");
        size_t scratch = kernel->scratch_size(shape);
        n->scratch_size = scratch > n->scratch_size ? scratch : n->scratch_size;
    }
    return ERR_OK;
}

static void reserve_weights(struct network *n)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->steps[i].kernel)
            n->steps[i].packed =
                arena_take(&n->weights, n->steps[i].kernel->packed_size(&n->layers[i].shape));
}

int network_create(struct network **out, const struct layer *layers, size_t count,
                   struct kernel_ladder ladder, struct error *err)
{
    CHECK(count > 0);
    struct network *n = calloc(1, sizeof *n);
    if (!n)
        return error_set(err, ERR_NO_MEMORY, "no memory for a network");
    n->count = count;
    n->layers = calloc(count, sizeof *n->layers);
    n->steps = calloc(count, sizeof *n->steps);
    int rc = n->layers && n->steps ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for layers");
    if (rc != ERR_OK)
        goto fail;
    memcpy(n->layers, layers, count * sizeof *layers);
    size_t weight_size;
    if ((rc = plan_create(&n->plan, n->layers, count, err)) != ERR_OK ||
        (rc = choose_kernels(n, ladder, &weight_size, err)) != ERR_OK ||
        (rc = arena_create(&n->weights, weight_size, err)) != ERR_OK)
        goto fail;
    reserve_weights(n);
    *out = n;
    return ERR_OK;
fail:
    network_destroy(n);
    return rc;
}

void network_destroy(struct network *n)
{
    if (!n)
        return;
    arena_destroy(&n->weights);
    plan_destroy(&n->plan);
    free(n->steps);
    free(n->layers);
    free(n);
}

void network_set_weights(struct network *n, size_t i, const float *weights, const float *bias)
{
    CHECK(i < n->count && n->steps[i].kernel);
    n->steps[i].kernel->pack(&n->layers[i].shape, weights, bias, n->steps[i].packed);
}

size_t network_layer_count(const struct network *n)
{
    return n->count;
}

const struct layer *network_layer(const struct network *n, size_t i)
{
    CHECK(i < n->count);
    return &n->layers[i];
}

size_t network_weight_bytes(const struct network *n)
{
    return n->weights.used;
}

const char *network_kernel_name(const struct network *n, size_t i)
{
    CHECK(i < n->count);
    return n->steps[i].kernel ? n->steps[i].kernel->name : "pool";
}

int workspace_create(struct workspace **out, const struct network *n, int max_images,
                     struct error *err)
{
    CHECK(max_images > 0);
    struct workspace *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERR_NO_MEMORY, "no memory for a workspace");
    size_t floats, size = 0, scratch = arena_rounded(n->scratch_size);
    int rc = ERR_OK;
    if (!size_mul(n->plan.total, (size_t)max_images, &floats) ||
        !size_mul(floats, sizeof(float), &size) ||
        !size_add(size, scratch + ARENA_ALIGNMENT, &size))
        rc = error_set(err, ERR_NO_MEMORY, "a workspace for %d images is too large", max_images);
    if (rc == ERR_OK)
        rc = arena_create(&w->memory, size, err);
    if (rc != ERR_OK) {
        free(w);
        return rc;
    }
    w->activations = arena_take(&w->memory, floats * sizeof(float));
    w->scratch = arena_take(&w->memory, scratch);
    w->max_images = max_images;
    *out = w;
    return ERR_OK;
}

void workspace_destroy(struct workspace *w)
{
    if (!w)
        return;
    arena_destroy(&w->memory);
    free(w);
}

/* Offsets are for one image; every value of a workspace is max_images times as large. */
static float *value(const struct network *n, const struct workspace *w, int v)
{
    return w->activations + n->plan.offset[v] * (size_t)w->max_images;
}

float *workspace_input(struct workspace *w)
{
    return w->activations;
}

static void run_convolution(const struct network *n, struct workspace *w, size_t i, int images)
{
    const struct layer *layer = &n->layers[i];
    bool adds = layer->residual != LAYER_NO_VALUE;
    struct conv_call call = {
        .shape = &layer->shape,
        .packed = n->steps[i].packed,
        .x = value(n, w, layer->input),
        .residual = adds ? value(n, w, layer->residual) : NULL,
        .y = value(n, w, (int)i + 1),
        .relu = layer->relu,
        .row_begin = 0,
        .row_end = images * layer->shape.out_h,
        .scratch = w->scratch,
    };
    n->steps[i].kernel->run(&call);
}

void network_run_layer(const struct network *n, struct workspace *w, size_t i, int images)
{
    CHECK(i < n->count && images > 0 && images <= w->max_images);
    const struct layer *layer = &n->layers[i];
    const float *x = value(n, w, layer->input);
    float *y = value(n, w, (int)i + 1);
    if (layer->kind == LAYER_MAX_POOL)
        pool_max(&layer->shape, images, x, y);
    else if (layer->kind == LAYER_AVG_POOL)
        pool_average(&layer->shape, images, x, y);
    else
        run_convolution(n, w, i, images);
}

const float *network_forward(const struct network *n, struct workspace *w, int images)
{
    for (size_t i = 0; i < n->count; i++)
        network_run_layer(n, w, i, images);
    return value(n, w, (int)n->count);
}
