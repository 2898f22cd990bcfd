#include "model/observer.h"

#include <stdlib.h>

#include "tests/nn/block.h"
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

TEST_MAIN("model/observer", 10, any_allocation_may_fail)
