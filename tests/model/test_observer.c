#include "model/observer.h"

#include <stdlib.h>

#include "tests/nn/block.h"
#include "tests/nn/se_block.h"
#include "tests/suite.h"

/* Which allocation fails: the first at 1; none at 0. */
static int failing;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return failing > 0 && --failing == 0 ? NULL : __real_calloc(count, size);
}

/* A caller destroys what it has, whichever call failed. */
static int use(const struct network *network)
{
    struct observer *observer = NULL;
    struct calibration calibration = {0};
    int code = observer_create(&observer, network, NULL);
    ck_assert((code == ERR_OK) == (observer != NULL));
    if (code == ERR_OK)
        code = observer_second_round(observer, NULL);
    if (code == ERR_OK)
        code = observer_choose(observer, RANGE_MSE, &calibration, NULL);
    failing = 0;
    calibration_destroy(&calibration);
    observer_destroy(observer);
    return code;
}

START_TEST(any_allocation_may_fail)
{
    struct network *network = block_network("ref", PRECISION_F32, 1);
    int failed = 0, code;
    do {
        failing = failed + 1;
        code = use(network);
        ck_assert(code == ERR_OK || code == ERR_NO_MEMORY);
        failed += code != ERR_OK;
    } while (code != ERR_OK);
    ck_assert_int_gt(failed, 3 * BLOCK_LAYERS / 2);
    network_destroy(network);
}
END_TEST

/* Attention and features, which are float32, and pools over windows, which share their input's
 * scales, have no entry. */
START_TEST(only_what_int8_rescales_is_observed)
{
    struct network *network = se_network(NULL, PRECISION_F32, 1);
    struct workspace *w;
    struct observer *observer;
    struct calibration calibration;
    ck_assert_int_eq(workspace_create(&w, network, 1, NULL), ERR_OK);
    ck_assert_int_eq(observer_create(&observer, network, NULL), ERR_OK);
    for (int round = 0; round < 2; round++) {
        if (round == 1)
            ck_assert_int_eq(observer_second_round(observer, NULL), ERR_OK);
        se_fill(PRECISION_F32, workspace_input(w), 1);
        observer_forward(observer, w);
    }
    ck_assert_int_eq(observer_choose(observer, RANGE_MSE, &calibration, NULL), ERR_OK);
    for (size_t i = 0; i < SE_LAYERS; i++) {
        const struct layer *layer = network_layer(network, i);
        bool has_entry = layer->kind == LAYER_CONV;
        ck_assert_int_eq(calibration.layers[i].scale != NULL, has_entry);
        ck_assert(!has_entry || calibration.layers[i].scale[0] > 0);
    }
    calibration_destroy(&calibration);
    observer_destroy(observer);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

TEST_MAIN("model/observer", 10, any_allocation_may_fail, only_what_int8_rescales_is_observed)
