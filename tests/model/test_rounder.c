/* model/rounder.c: passes, and what is observed, against plain loops where all pixels count. */
#include "model/rounder.h"

#include <math.h>

#include "model/file.h"
#include "model/init.h"
#include "model/observer.h"
#include "nn/rounding.h"
#include "tests/model/folder.h"
#include "tests/random.h"
#include "tests/suite.h"

enum { IMAGES = 12, SIDE = 16, SMALL_SIDE = 8, PIXELS = SMALL_SIDE * SMALL_SIDE };
static const size_t plenty = 1 << 30;

static char folder[FOLDER_PATH];

/* A model, and scales for it. */
struct given {
    struct model *model;
    struct workspace *workspace;
    struct calibration calibration;
};

static void put(struct given *g, uint64_t seed)
{
    uint8_t rgb[SIDE * SIDE * 3];
    uint64_t state = seed;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(random_next(&state) >> 56);
    model_put_image(g->model, g->workspace, 0, rgb);
}

/* Of pictures with `side` pixels a side. */
static void make(struct given *g, int side)
{
    struct template t = folder_template();
    struct model_options options = {.precision = PRECISION_F32};
    struct observer *observer;
    t.input_size = side;
    folder_make(folder);
    ck_assert_int_eq(model_init_folder(&t, 5, folder, NULL), ERR_OK);
    ck_assert(kernel_isas_select("auto", &options.isas));
    ck_assert_int_eq(model_load(&g->model, folder, &options, NULL), ERR_OK);
    ck_assert_int_eq(workspace_create(&g->workspace, g->model->network, 1, NULL), ERR_OK);
    ck_assert_int_eq(observer_create(&observer, g->model->network, NULL), ERR_OK);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 1; i <= IMAGES; i++) {
            put(g, i);
            observer_forward(observer, g->workspace);
        }
        if (round == 0)
            ck_assert_int_eq(observer_second_round(observer, NULL), ERR_OK);
    }
    ck_assert_int_eq(observer_choose(observer, RANGE_MSE, &g->calibration, NULL), ERR_OK);
    calibration_bind(&g->calibration, g->model->sha256, g->model->preprocess.mean,
                     g->model->preprocess.std);
    observer_destroy(observer);
}

static void destroy(struct given *g)
{
    calibration_destroy(&g->calibration);
    workspace_destroy(g->workspace);
    model_destroy(g->model);
    folder_remove(folder);
}

static const struct layer *layer_of(const struct given *g, size_t i)
{
    return network_layer(g->model->network, i);
}

/* Makes the roundings of all layers with passes of `bytes`. */
static void round_all(struct given *g, size_t bytes, bool backwards)
{
    struct rounder *rounder;
    struct error err;
    size_t passes = rounder_passes(g->model->network, bytes);
    ck_assert_msg(rounder_create(&rounder, g->model, &g->calibration, bytes, 2, &err) == ERR_OK,
                  "%s", err.message);
    for (size_t p = 0; p < passes; p++) {
        ck_assert_int_eq(rounder_begin(rounder, NULL), ERR_OK);
        for (uint64_t i = 1; i <= IMAGES; i++) {
            uint64_t seed = backwards ? IMAGES + 1 - i : i;
            put(g, seed);
            rounder_forward(rounder, i % 2, g->workspace, seed);
        }
        ck_assert_int_eq(rounder_choose(rounder, NULL), ERR_OK);
    }
    rounder_destroy(rounder);
}

/* Takes the roundings from g, [layers]. */
static void take_bits(struct given *g, uint8_t **bits)
{
    for (size_t i = 0; i < network_layer_count(g->model->network); i++) {
        bits[i] = g->calibration.layers[i].rounding;
        g->calibration.layers[i].rounding = NULL;
    }
}

START_TEST(passes_and_their_order_change_nothing)
{
    enum { MOST = 64, WAYS = 4 };
    struct given g;
    uint8_t *bits[WAYS][MOST];
    static const size_t bytes[WAYS] = {1 << 30, 1 << 30, 100000, 1};
    make(&g, SIDE);
    size_t layers = network_layer_count(g.model->network), groups = 0, ones = 0;
    ck_assert_uint_le(layers, MOST);
    for (int way = 0; way < WAYS; way++) {
        round_all(&g, bytes[way], way % 2);
        take_bits(&g, bits[way]);
    }
    for (size_t i = 0; i < layers; i++) {
        ck_assert((bits[0][i] != NULL) == (layer_of(&g, i)->kind == LAYER_CONV));
        if (!bits[0][i])
            continue;
        size_t size = calibration_rounding_bytes(layer_of(&g, i));
        groups += (size_t)layer_of(&g, i)->shape.groups;
        for (int way = 1; way < WAYS; way++)
            ck_assert_mem_eq(bits[way][i], bits[0][i], size);
        for (size_t b = 0; b < 8 * size; b++)
            ones += bits[0][i][b / 8] >> b % 8 & 1;
        for (int way = 0; way < WAYS; way++)
            free(bits[way][i]);
    }
    ck_assert_uint_gt(ones, 100);
    ck_assert_uint_eq(rounder_passes(g.model->network, plenty), 1);
    ck_assert_uint_eq(rounder_passes(g.model->network, 1), groups);
    ck_assert_uint_gt(rounder_passes(g.model->network, 100000), 1);
    ck_assert_uint_lt(rounder_passes(g.model->network, 100000), groups);
    destroy(&g);
}
END_TEST

/* The byte that int8 has for element `at` of the layer's input. */
static double byte_at(const struct given *g, const struct layer *layer, const float *x, int y,
                      int column, int channel)
{
    const struct conv_shape *s = &layer->shape;
    struct pixel_scales pixels;
    struct quantization values[64], *q = &values[layer->input];
    calibration_values(&g->calibration, layer_of(g, 0), &pixels, values);
    if (y < 0 || y >= s->in_h || column < 0 || column >= s->in_w)
        return rint((double)q->zero[channel]);
    double byte = rint((double)(x[(y * s->in_w + column) * s->in_c + channel] / q->scale[channel] +
                                q->zero[channel]));
    return fmin(fmax(byte, 0), 255);
}

/* The inputs of a group for all outputs of all images, [IMAGES * PIXELS][n]. */
static size_t list_inputs(struct given *g, size_t i, int group, double *rows)
{
    const struct layer *layer = layer_of(g, i);
    const struct conv_shape *s = &layer->shape;
    int channels = s->in_c / s->groups, k = s->kernel;
    size_t at = 0;
    for (uint64_t image = 1; image <= IMAGES; image++) {
        put(g, image);
        for (size_t l = 0; l < i; l++)
            network_run_layer(g->model->network, g->workspace, l, 1);
        const float *x = workspace_value(g->model->network, g->workspace, layer->input);
        for (int pixel = 0; pixel < s->out_h * s->out_w; pixel++)
            for (int c = 0; c < channels; c++)
                for (int tap = 0; tap < k * k; tap++)
                    rows[at++] = byte_at(
                        g, layer, x, pixel / s->out_w * s->stride - s->pad + tap / k,
                        pixel % s->out_w * s->stride - s->pad + tap % k, group * channels + c);
    }
    return (size_t)(IMAGES * s->out_h * s->out_w);
}

static void plain_covariance(const double *rows, size_t count, size_t n, double *c)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double squares = 0, a = 0, b = 0;
            for (size_t r = 0; r < count; r++) {
                squares += rows[r * n + i] * rows[r * n + j];
                a += rows[r * n + i];
                b += rows[r * n + j];
            }
            c[i * n + j] = squares / (double)count - a / (double)count * (b / (double)count);
        }
}

/* Counts the bits of a layer that differ from those that plain loops lead to. */
static size_t differences(struct given *g, size_t i)
{
    enum { MOST = 144 };
    static double rows[IMAGES * PIXELS * MOST], c[MOST * MOST], exact[32 * MOST];
    const struct layer *layer = layer_of(g, i);
    const struct conv_shape *s = &layer->shape;
    size_t n = (size_t)(s->in_c / s->groups * s->kernel * s->kernel), wrong = 0;
    size_t outputs = (size_t)(s->out_c / s->groups);
    uint8_t *bits = calloc(1, calibration_rounding_bytes(layer));
    const float *weights;
    struct model_weights *file;
    struct pixel_scales pixels;
    struct quantization values[64];
    ck_assert(n <= MOST && outputs <= 32);
    ck_assert_int_eq(model_weights_open(&file, g->model, NULL), ERR_OK);
    ck_assert_int_eq(model_weights_read(file, i, &weights, NULL), ERR_OK);
    calibration_values(&g->calibration, layer_of(g, 0), &pixels, values);
    for (int group = 0; group < s->groups; group++) {
        size_t first = (size_t)group * outputs;
        plain_covariance(rows, list_inputs(g, i, group, rows), n, c);
        for (size_t o = 0; o < outputs; o++)
            ck_assert(
                quantize_exactly(layer, weights, &values[layer->input], first + o, exact + o * n));
        ck_assert_int_eq(rounding_choose(c, n, exact, outputs, bits, first * n, NULL), ERR_OK);
    }
    for (size_t b = 0; b < conv_weight_count(s); b++)
        wrong += (bits[b / 8] ^ g->calibration.layers[i].rounding[b / 8]) >> b % 8 & 1;
    model_weights_close(file);
    free(bits);
    return wrong;
}

START_TEST(bits_are_those_of_plain_loops)
{
    struct given g;
    size_t checked = 0, grouped = 0;
    make(&g, SMALL_SIDE);
    round_all(&g, plenty, false);
    for (size_t i = 0; i < network_layer_count(g.model->network); i++) {
        const struct layer *layer = layer_of(&g, i);
        if (layer->kind != LAYER_CONV)
            continue; /* maps are so small that all of their pixels are observed */
        size_t wrong = differences(&g, i), all = conv_weight_count(&layer->shape);
        ck_assert_msg(wrong * 500 <= all, "%s: %zu of %zu bits", layer->name, wrong, all);
        checked++;
        grouped += layer->shape.groups > 1;
    }
    ck_assert_uint_ge(checked, 10);
    ck_assert_uint_ge(grouped, 3);
    destroy(&g);
}
END_TEST

/* The network that is measured and rounded is the one that the file makes. */
START_TEST(a_file_changes_no_number)
{
    struct given g;
    struct calibration read;
    struct error err;
    char *bytes;
    size_t length;
    make(&g, SIDE);
    g.calibration.images = IMAGES;
    const struct layer *layers = layer_of(&g, 0);
    size_t count = network_layer_count(g.model->network);
    const char *path = folder_file(folder, "calibration.json");
    ck_assert_int_eq(calibration_write(&g.calibration, layers, count, path, NULL), ERR_OK);
    ck_assert_int_eq(file_read_all(path, 1 << 20, &bytes, &length, NULL), ERR_OK);
    ck_assert_msg(calibration_parse(&read, layers, count, bytes, length, &err) == ERR_OK, "%s",
                  err.message);
    for (size_t i = 0; i < count; i++) {
        const struct calibration_layer *a = &g.calibration.layers[i], *b = &read.layers[i];
        size_t size = (size_t)layers[i].shape.out_c * sizeof(float);
        if (a->scale)
            ck_assert(memcmp(a->scale, b->scale, size) == 0 &&
                      memcmp(a->zero, b->zero, size) == 0 && memcmp(a->mean, b->mean, size) == 0);
    }
    free(bytes);
    calibration_destroy(&read);
    destroy(&g);
}
END_TEST

START_TEST(a_folder_that_changed_is_refused)
{
    struct given g;
    struct rounder *rounder;
    struct error err;
    struct template t = folder_template();
    make(&g, SIDE);
    remove(folder_file(folder, "model.safetensors"));
    remove(folder_file(folder, "config.json"));
    ck_assert_int_eq(model_init_folder(&t, 6, folder, NULL), ERR_OK);
    ck_assert_int_eq(rounder_create(&rounder, g.model, &g.calibration, plenty, 1, &err),
                     ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "changed"));
    destroy(&g);
}
END_TEST

TEST_MAIN("model/rounder", 60, passes_and_their_order_change_nothing, bits_are_those_of_plain_loops,
          a_file_changes_no_number, a_folder_that_changed_is_refused)
