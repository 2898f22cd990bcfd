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
    int rc = observer_create(&observer, network, NULL);
    ck_assert((rc == ERR_OK) == (observer != NULL));
    if (rc == ERR_OK)
        rc = observer_second_round(observer, NULL);
    if (rc == ERR_OK)
        rc = observer_choose(observer, RANGE_MSE, &calibration, NULL);
    failing = 0;
    calibration_destroy(&calibration);
    observer_destroy(observer);
    return rc;
}

START_TEST(any_allocation_may_fail)
{
    struct network *network = block_network("ref", PRECISION_F32, 1);
    int failed = 0, rc;
    do {
        failing = failed + 1;
        rc = use(network);
        ck_assert(rc == ERR_OK || rc == ERR_NO_MEMORY);
        failed += rc != ERR_OK;
    } while (rc != ERR_OK);
    ck_assert_int_gt(failed, 3 * BLOCK_LAYERS / 2);
    network_destroy(network);
}
END_TEST

TEST_MAIN("model/observer", 10, any_allocation_may_fail)
