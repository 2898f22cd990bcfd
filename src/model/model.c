#include "model/model.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/labels.h"

_Static_assert((int)MODEL_SHA256_TEXT == (int)SAFETENSORS_SHA256_TEXT, "one size of a SHA-256");

/* What is open or half made while a model is loaded. */
struct loader {
    const char *path;
    struct model *model;
    struct model_config config;
    struct safetensors *file;
    struct layer *layers;
    size_t layer_count;
};

static int open_files(struct loader *l, struct error *err)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/model.safetensors", l->path) >= (int)sizeof path)
        return error_set(err, ERR_IO, "the model's path is too long");
    int rc = safetensors_open(&l->file, path, err);
    if (rc != ERR_OK)
        return rc;
    snprintf(path, sizeof path, "%s/config.json", l->path);
    return model_config_read(&l->config, path, err);
}

static int read_template(struct loader *l, struct error *err)
{
    struct template *t = &l->model->template;
    const struct tensor_table *tensors = safetensors_tensors(l->file);
    t->input_size = l->config.preprocess.size;
    int rc = checkpoint_template(tensors, t, err);
    if (rc == ERR_OK)
        rc = template_layers(t, &l->layers, &l->layer_count, err);
    if (rc == ERR_OK)
        rc = checkpoint_check(tensors, l->layers, l->layer_count, err);
    if (rc != ERR_OK)
        return error_prefix(err, rc, "%s/model.safetensors", l->path);
    if (l->config.classes != 0 && l->config.classes != t->classes)
        return error_set(err, ERR_MODEL_INVALID,
                         "%s/config.json: num_classes is %d, but tensor fc.weight has %d rows",
                         l->path, l->config.classes, t->classes);
    return ERR_OK;
}

static int take_labels(struct loader *l, struct error *err)
{
    struct label_list *labels = &l->config.labels;
    size_t classes = (size_t)l->model->template.classes;
    if (labels->count == 0) {
        int rc = labels_find(labels, l->path, classes, err);
        if (rc != ERR_OK)
            return rc;
    }
    if (labels->count != classes)
        return error_set(err, ERR_MODEL_INVALID,
                         "%s/config.json: label_names has %zu names for %zu classes", l->path,
                         labels->count, classes);
    l->model->labels = labels->names;
    l->model->classes = (int)classes;
    *labels = (struct label_list){0};
    return ERR_OK;
}

/* The most weights and the most outputs of a layer. */
static void largest_layer(const struct loader *l, size_t *weights, size_t *channels)
{
    *weights = *channels = 1;
    for (size_t i = 0; i < l->layer_count; i++) {
        struct tensor_info tensors[CHECKPOINT_LAYER_TENSORS];
        if (checkpoint_layer_tensors(&l->layers[i], tensors) == 0)
            continue;
        size_t out = (size_t)l->layers[i].shape.out_c;
        *weights = tensors[0].elements > *weights ? tensors[0].elements : *weights;
        *channels = out > *channels ? out : *channels;
    }
}

static int read_weights(struct loader *l, struct error *err)
{
    size_t weight_count, channels;
    largest_layer(l, &weight_count, &channels);
    float *weights = calloc(weight_count, sizeof *weights);
    float *bias = calloc(channels, sizeof *bias), *norm = calloc(4 * channels, sizeof *norm);
    int rc = weights && bias && norm ? ERR_OK
                                     : error_set(err, ERR_NO_MEMORY, "no memory to read weights");
    for (size_t i = 0; rc == ERR_OK && i < l->layer_count; i++) {
        const struct layer *layer = &l->layers[i];
        if (!layer_has_weights(layer))
            continue;
        rc = checkpoint_read(l->file, layer, weights, bias, norm, err);
        if (rc == ERR_OK)
            network_set_weights(l->model->network, i, weights, bias);
    }
    free(weights);
    free(bias);
    free(norm);
    return rc;
}

static int fill_model(struct loader *l, struct kernel_ladder ladder, struct error *err)
{
    struct model *model = l->model;
    model->path = strdup(l->path);
    model->preprocess = l->config.preprocess;
    model->precision = "f32";
    template_name(&model->template, model->template_name);
    for (size_t i = 0; i < l->layer_count; i++) {
        model->parameters += layer_parameters(&l->layers[i]);
        model->multiply_adds += layer_multiply_adds(&l->layers[i]);
    }
    if (!model->path)
        return error_set(err, ERR_NO_MEMORY, "no memory for a model");
    int rc = network_create(&model->network, l->layers, l->layer_count, ladder, err);
    if (rc == ERR_OK)
        rc = read_weights(l, err);
    if (rc == ERR_OK)
        rc = safetensors_sha256(l->file, model->sha256, err);
    return rc;
}

int model_load(struct model **out, const char *path, struct kernel_ladder ladder, struct error *err)
{
    struct loader l = {.path = path, .model = calloc(1, sizeof *l.model)};
    int rc = l.model ? open_files(&l, err) : error_set(err, ERR_NO_MEMORY, "no memory for a model");
    if (rc == ERR_OK)
        rc = read_template(&l, err);
    if (rc == ERR_OK)
        rc = take_labels(&l, err);
    if (rc == ERR_OK)
        rc = fill_model(&l, ladder, err);
    free(l.layers);
    safetensors_close(l.file);
    model_config_destroy(&l.config);
    if (rc == ERR_OK)
        *out = l.model;
    else
        model_destroy(l.model);
    return rc;
}

void model_destroy(struct model *model)
{
    if (!model)
        return;
    for (int i = 0; i < model->classes; i++)
        free(model->labels[i]);
    free(model->labels);
    network_destroy(model->network);
    free(model->path);
    free(model);
}

/* Weights that are finite can still overflow on the way; a score must be a number all the same. */
static float tame(float logit)
{
    return isnan(logit) ? -FLT_MAX : fminf(fmaxf(logit, -FLT_MAX), FLT_MAX);
}

/* Whether `a` stands behind `b` in the answer. */
static bool is_behind(const struct prediction *a, const struct prediction *b)
{
    return a->score != b->score ? a->score < b->score : a->class_id > b->class_id;
}

/* Restores the heap under `at`, in which the last of the answer is the root. */
static void sink(struct prediction *heap, int count, int at)
{
    for (;;) {
        int child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && is_behind(&heap[child + 1], &heap[child]))
            child++;
        if (!is_behind(&heap[child], &heap[at]))
            return;
        struct prediction moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* Leaves the k largest logits in `out`, best first, as scores. */
static void select_top(const float *logits, int classes, int k, struct prediction *out)
{
    for (int i = 0; i < k; i++)
        out[i] = (struct prediction){i, tame(logits[i])};
    for (int i = k / 2; i-- > 0;)
        sink(out, k, i);
    for (int i = k; i < classes; i++) {
        struct prediction next = {i, tame(logits[i])};
        if (!is_behind(&out[0], &next))
            continue;
        out[0] = next;
        sink(out, k, 0);
    }
    for (int last = k - 1; last > 0; last--) {
        struct prediction moved = out[0];
        out[0] = out[last];
        out[last] = moved;
        sink(out, last, 0);
    }
}

void model_top_k(const float *logits, int classes, int k, struct prediction *out)
{
    CHECK(k >= 1 && k <= classes);
    select_top(logits, classes, k, out);
    double highest = out[0].score, sum = 0;
    for (int i = 0; i < classes; i++)
        sum += exp(tame(logits[i]) - highest);
    for (int i = 0; i < k; i++)
        out[i].score = (float)(exp(out[i].score - highest) / sum);
}
