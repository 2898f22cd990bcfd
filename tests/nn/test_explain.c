#include "nn/explain.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/nn/block.h"
#include "tests/suite.h"

enum { ROWS = BLOCK_ROWS, COLS = BLOCK_ROWS, CHANNELS = BLOCK_CHANNELS, IMAGES = 2 };

/* By how much a map and an embedding may miss their logit: int8 has quantised the classifier, too,
 * and the mean. */
static const float limits[PRECISION_COUNT] = {1e-4F, 0.02F, 0.08F};

static const float *forward(const struct network *network, struct workspace *w)
{
    block_fill(network_precision(network), workspace_input(w), IMAGES);
    return network_forward(network, w, IMAGES);
}

static void check_logit(enum precision precision, double have, float want)
{
    ck_assert_msg(fabs(have - (double)want) <= (double)limits[precision], "%s: %g, not %g",
                  precision_name(precision), have, (double)want);
}

static void check_maps(const struct network *network, const struct workspace *w,
                       const float *logits)
{
    float map[ROWS * COLS];
    for (int i = 0; i < IMAGES; i++)
        for (int k = 0; k < BLOCK_CLASSES; k++) {
            double sum = 0;
            ck_assert_int_eq(explain_class(network, w, i, k, map, NULL), ERR_OK);
            for (int p = 0; p < ROWS * COLS; p++)
                sum += (double)map[p];
            check_logit(network_precision(network),
                        sum / (ROWS * COLS) + (double)block_classifier_bias[k],
                        logits[i * BLOCK_CLASSES + k]);
            ck_assert_float_gt(fabsf(map[0] - map[ROWS * COLS - 1]), 1e-6F);
        }
}

START_TEST(a_map_adds_up_to_its_logit)
{
    for (int precision = 0; precision < PRECISION_COUNT; precision++) {
        struct network *network = block_network(NULL, (enum precision)precision, 0.2F);
        struct workspace *w;
        ck_assert_int_eq(workspace_create(&w, network, 3, NULL), ERR_OK);
        const float *logits = forward(network, w);
        struct feature_shape shape = explain_shape(network);
        ck_assert(shape.rows == ROWS && shape.cols == COLS && shape.channels == CHANNELS);
        check_maps(network, w, logits);
        workspace_destroy(w);
        network_destroy(network);
    }
}
END_TEST

static void check_embedding(const struct network *network, const float *embedding,
                            const float *logits)
{
    for (int k = 0; k < BLOCK_CLASSES; k++) {
        float logit = block_classifier_bias[k];
        for (int c = 0; c < CHANNELS; c++)
            logit += block_classifier[k * CHANNELS + c] * embedding[c];
        check_logit(network_precision(network), (double)logit, logits[k]);
    }
}

START_TEST(an_embedding_makes_the_logits)
{
    for (int precision = 0; precision < PRECISION_COUNT; precision++) {
        struct network *network = block_network(NULL, (enum precision)precision, 0.2F);
        struct workspace *w;
        float embedding[CHANNELS];
        ck_assert_int_eq(workspace_create(&w, network, 3, NULL), ERR_OK);
        const float *logits = forward(network, w);
        for (int i = 0; i < IMAGES; i++) {
            ck_assert_int_eq(explain_embedding(network, w, i, embedding, NULL), ERR_OK);
            check_embedding(network, embedding, logits + i * BLOCK_CLASSES);
        }
        workspace_destroy(w);
        network_destroy(network);
    }
}
END_TEST

/* Fault 89. */
START_TEST(what_overflowed_is_an_error)
{
    struct network *network = block_network(NULL, PRECISION_F32, 1e12F);
    struct workspace *w;
    float map[ROWS * COLS], embedding[CHANNELS];
    ck_assert_int_eq(workspace_create(&w, network, IMAGES, NULL), ERR_OK);
    const float *logits = forward(network, w);
    ck_assert(!isfinite(logits[0]));
    struct error err;
    ck_assert_int_eq(explain_class(network, w, 0, 0, map, &err), ERR_NOT_FINITE);
    ck_assert_msg(strstr(err.message, "class activations are not finite"), "%s", err.message);
    ck_assert_int_eq(explain_embedding(network, w, 0, embedding, &err), ERR_NOT_FINITE);
    ck_assert_msg(strstr(err.message, "features are not finite"), "%s", err.message);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

START_TEST(vectors_become_one_long)
{
    float vector[] = {3, 0, -4}, none[] = {0, 0}, huge[] = {FLT_MAX, FLT_MAX};
    explain_normalize(vector, 3);
    ck_assert_float_eq_tol(vector[0], 0.6F, 1e-6F);
    ck_assert_float_eq_tol(vector[2], -0.8F, 1e-6F);
    explain_normalize(none, 2);
    ck_assert_float_eq(none[0], 0);
    explain_normalize(huge, 2);
    ck_assert_float_eq_tol(huge[1], 0.70710678F, 1e-6F);
}
END_TEST

TEST_MAIN("nn/explain", 30, a_map_adds_up_to_its_logit, an_embedding_makes_the_logits,
          what_overflowed_is_an_error, vectors_become_one_long)
