#include "tests/nn/production.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"
#include "model/file.h"
#include "model/init.h"
#include "tests/model/folder.h"

enum { MAX_JPEG = 1 << 20 };

static size_t in_count(const struct layer *layer)
{
    const struct conv_shape *s = &layer->shape;
    return (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
}

static size_t out_count(const struct layer *layer)
{
    const struct conv_shape *s = &layer->shape;
    return (size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c;
}

static float *floats(size_t count)
{
    float *p = calloc(count, sizeof *p);
    ck_assert_ptr_nonnull(p);
    return p;
}

static float *read_picture(const struct preprocess_spec *spec, const char *picture)
{
    const struct preprocess_options options = {.limits.max_pixels = 1 << 24};
    struct preprocess_report report;
    struct preprocessor *preprocessor;
    const char *top = getenv("top_srcdir");
    char path[1024], *jpeg;
    size_t length, pixels = (size_t)spec->size * (size_t)spec->size;
    uint8_t *rgb = malloc(pixels * 3);
    float *input = floats(pixels * 3);
    snprintf(path, sizeof path, "%s/tests/data/pictures/%s", top ? top : ".", picture);
    ck_assert_ptr_nonnull(rgb);
    ck_assert_int_eq(file_read_all(path, MAX_JPEG, &jpeg, &length, NULL), ERR_OK);
    ck_assert_int_eq(preprocessor_create(&preprocessor, NULL), ERR_OK);
    ck_assert_int_eq(preprocessor_run(preprocessor, spec, &options, (const uint8_t *)jpeg, length,
                                      rgb, &report, NULL),
                     ERR_OK);
    preprocess_normalize(spec, rgb, pixels, input);
    preprocessor_destroy(preprocessor);
    free(jpeg);
    free(rgb);
    return input;
}

void source_open(struct source *source, const char *folder, const char *picture)
{
    struct model_options options = {.precision = PRECISION_F32};
    struct model *model;
    ck_assert(kernel_isas_select(NULL, &options.isas));
    ck_assert_int_eq(model_load(&model, folder, &options, NULL), ERR_OK);
    source->template = model->template;
    source->preprocess = model->preprocess;
    source->input = read_picture(&model->preprocess, picture);
    model_destroy(model);
    ck_assert_int_eq(template_layers(&source->template, &source->layers, &source->count, NULL),
                     ERR_OK);
    ck_assert_int_eq(
        safetensors_open(&source->file, folder_file(folder, "model.safetensors"), NULL), ERR_OK);
}

void source_init(struct source *source, const char *template, uint64_t seed, const char *picture)
{
    struct template t;
    char folder[FOLDER_PATH];
    ck_assert_msg(template_from_name(template, &t, NULL) == ERR_OK, "%s", template);
    folder_make(folder);
    ck_assert_int_eq(model_init_folder(&t, seed, folder, NULL), ERR_OK);
    source_open(source, folder, picture);
    folder_remove(folder);
}

void source_show(struct source *source, const char *picture)
{
    free(source->input);
    source->input = read_picture(&source->preprocess, picture);
}

void source_close(struct source *source)
{
    safetensors_close(source->file);
    free(source->layers);
    free(source->input);
}

size_t source_find(const struct source *source, const char *name)
{
    for (size_t i = 0; i < source->count; i++)
        if (strcmp(source->layers[i].name, name) == 0)
            return i;
    ck_abort_msg("no layer %s", name);
    return 0;
}

static bool has_weights(const struct layer *layer)
{
    return layer->kind == LAYER_CONV || layer->kind == LAYER_LINEAR;
}

static void read_weights(const struct source *source, const struct layer *layer, float **weights,
                         float **bias)
{
    const struct conv_shape *s = &layer->shape;
    size_t each = (size_t)(s->in_c / s->groups * s->kernel * s->kernel), out = (size_t)s->out_c;
    float *norm = floats(4 * out);
    *weights = floats(each * out);
    *bias = floats(out);
    ck_assert_int_eq(checkpoint_read(source->file, layer, *weights, *bias, norm, NULL), ERR_OK);
    free(norm);
}

static struct network *make_network(const struct layer *layers, size_t count, const char *isa)
{
    struct network_options options = {.precision = PRECISION_F32};
    struct network *network;
    ck_assert(kernel_isas_select(isa, &options.isas));
    ck_assert_int_eq(network_create(&network, layers, count, &options, NULL), ERR_OK);
    return network;
}

/* Runs a network whose last value has `count` floats. */
static float *run(const struct network *network, const float *x, size_t in, size_t out)
{
    struct workspace *workspace;
    float *y = floats(out);
    ck_assert_int_eq(workspace_create(&workspace, network, 1, NULL), ERR_OK);
    memcpy(workspace_input(workspace), x, in * sizeof *x);
    memcpy(y, network_forward(network, workspace, 1), out * sizeof *y);
    workspace_destroy(workspace);
    return y;
}

float *source_value(const struct source *source, size_t v)
{
    size_t in = in_count(&source->layers[0]);
    if (v == 0) {
        float *copy = floats(in);
        memcpy(copy, source->input, in * sizeof *copy);
        return copy;
    }
    struct network *network = make_network(source->layers, v, NULL);
    for (size_t i = 0; i < v; i++) {
        float *weights, *bias;
        if (!has_weights(&source->layers[i]))
            continue;
        read_weights(source, &source->layers[i], &weights, &bias);
        ck_assert_int_eq(network_set_weights(network, i, weights, bias, NULL), ERR_OK);
        free(weights);
        free(bias);
    }
    float *y = run(network, source->input, in, out_count(&source->layers[v - 1]));
    network_destroy(network);
    return y;
}

void cut_layers(struct cut *cut, const struct source *source, size_t first, size_t count)
{
    *cut = (struct cut){.count = count, .input = first};
    ck_assert(count <= CUT_MAX_LAYERS && first + count <= source->count);
    for (size_t i = 0; i < count; i++) {
        struct layer *layer = &cut->layers[i];
        *layer = source->layers[first + i];
        layer->input -= (int)first;
        if (layer->residual != LAYER_NO_VALUE)
            layer->residual -= (int)first;
        ck_assert_int_ge(layer->input, 0);
        ck_assert(layer->residual == LAYER_NO_VALUE || layer->residual >= 0);
        read_weights(source, layer, &cut->weights[i], &cut->bias[i]);
    }
}

void cut_block(struct cut *cut, const struct source *source, const char *prefix)
{
    char name[LAYER_NAME_MAX];
    snprintf(name, sizeof name, "%s.conv1", prefix);
    size_t first = source_find(source, name), count = 1;
    while (strncmp(source->layers[first + count].name, name, strlen(prefix) + 1) == 0)
        count++;
    cut_layers(cut, source, first, count);
}

void cut_destroy(struct cut *cut)
{
    for (size_t i = 0; i < cut->count; i++) {
        free(cut->weights[i]);
        free(cut->bias[i]);
    }
}

float *cut_run(const struct cut *cut, const char *isa, const float *x)
{
    struct network *network = make_network(cut->layers, cut->count, isa);
    for (size_t i = 0; i < cut->count; i++)
        ck_assert_int_eq(network_set_weights(network, i, cut->weights[i], cut->bias[i], NULL),
                         ERR_OK);
    float *y = run(network, x, in_count(&cut->layers[0]), out_count(&cut->layers[cut->count - 1]));
    network_destroy(network);
    return y;
}
