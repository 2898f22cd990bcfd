#include "nn/help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/nn/block.h"
#include "tests/random.h"
#include "tests/suite.h"

enum { HELPERS = 3, PASSES = 24, MANY_PASSES = 20000, IMAGES = 3 };

/* What the runs of tiles of a pass were, seen by its owner alone. */
static struct {
    bool counts;
    int runs[BLOCK_LAYERS], tiles[BLOCK_LAYERS], longest[BLOCK_LAYERS];
} seen;

void __real_network_run_tiles(const struct network *n, struct workspace *w, struct workspace *mine,
                              size_t i, int images, int begin, int end);

void __wrap_network_run_tiles(const struct network *n, struct workspace *w, struct workspace *mine,
                              size_t i, int images, int begin, int end);

void __wrap_network_run_tiles(const struct network *n, struct workspace *w, struct workspace *mine,
                              size_t i, int images, int begin, int end)
{
    if (seen.counts) {
        ck_assert_int_eq(begin, seen.tiles[i]);
        seen.runs[i]++;
        seen.tiles[i] = end;
        seen.longest[i] = end - begin > seen.longest[i] ? end - begin : seen.longest[i];
    }
    __real_network_run_tiles(n, w, mine, i, images, begin, end);
}

/* A thread that helps at the desk until it is told to stop. */
struct helper {
    pthread_t thread;
    struct desk *desk;
    const struct network *network;
    atomic_bool stop;
    int patience; /* runs, or waits, until it leaves */
    int left;
    atomic_long visits;
};

static bool has_enough(void *context)
{
    struct helper *h = context;
    return atomic_load(&h->stop) || h->left-- <= 0;
}

static void *helper_main(void *arg)
{
    struct helper *h = arg;
    struct workspace *mine;
    ck_assert_int_eq(workspace_create(&mine, h->network, 1, NULL), 0);
    while (!atomic_load(&h->stop)) {
        if (!desk_enter(h->desk))
            continue;
        h->left = h->patience;
        desk_work(h->desk, mine, has_enough, h);
        desk_leave(h->desk);
        atomic_fetch_add(&h->visits, 1);
    }
    workspace_destroy(mine);
    return NULL;
}

static long all_visits(struct helper helpers[HELPERS])
{
    long visits = 0;
    for (int i = 0; i < HELPERS; i++)
        visits += atomic_load(&helpers[i].visits);
    return visits;
}

static void check_helped(const char *rung)
{
    struct network *network = block_network(rung, PRECISION_F32, 1);
    struct workspace *alone, *helped;
    struct desk *desk;
    struct helper helpers[HELPERS];
    static float input[IMAGES * BLOCK_INPUT];
    uint64_t seed = 3;
    random_floats(&seed, input, sizeof input / sizeof input[0]);
    ck_assert_int_eq(workspace_create(&alone, network, IMAGES, NULL), 0);
    ck_assert_int_eq(workspace_create(&helped, network, IMAGES, NULL), 0);
    ck_assert_int_eq(desk_create(&desk, NULL), 0);
    for (int i = 0; i < HELPERS; i++) {
        helpers[i] = (struct helper){.desk = desk, .network = network};
        helpers[i].patience = i == 0 ? 1 << 30 : 7 * i;
        ck_assert_int_eq(pthread_create(&helpers[i].thread, NULL, helper_main, &helpers[i]), 0);
    }
    for (int pass = 0; pass < PASSES || all_visits(helpers) == 0; pass++) {
        int images = 1 + pass % IMAGES;
        memcpy(workspace_input(alone), input, sizeof input);
        memcpy(workspace_input(helped), input, sizeof input);
        const float *expected = network_forward(network, alone, images);
        const float *logits = network_forward_helped(network, helped, images, desk, desk, pass % 3);
        ck_assert_mem_eq(expected, logits, (size_t)images * BLOCK_CLASSES * sizeof *logits);
    }
    for (int i = 0; i < HELPERS; i++) {
        atomic_store(&helpers[i].stop, true);
        pthread_join(helpers[i].thread, NULL);
    }
    desk_destroy(desk);
    workspace_destroy(alone);
    workspace_destroy(helped);
    network_destroy(network);
}

START_TEST(a_helped_pass_gives_the_same_bits)
{
    for (const char *const *rung = kernel_rung_names(); *rung; rung++) {
        struct kernel_ladder ladder;
        if (kernel_ladder_select(*rung, &ladder))
            check_helped(*rung);
    }
}
END_TEST

/* A helper that looks for the next layer just when there is none must leave, or the pass would wait
 * for it for ever. */
START_TEST(a_pass_ends_whenever_its_helpers_come)
{
    struct network *network = block_network(NULL, PRECISION_F32, 1);
    struct workspace *w;
    struct desk *desk;
    struct helper helper = {.network = network, .patience = 1 << 30};
    ck_assert_int_eq(workspace_create(&w, network, 1, NULL), 0);
    ck_assert_int_eq(desk_create(&desk, NULL), 0);
    memset(workspace_input(w), 0, BLOCK_INPUT * sizeof(float));
    helper.desk = desk;
    ck_assert_int_eq(pthread_create(&helper.thread, NULL, helper_main, &helper), 0);
    for (int pass = 0; pass < MANY_PASSES || atomic_load(&helper.visits) < MANY_PASSES / 100;
         pass++)
        network_forward_helped(network, w, 1, desk, desk, 0);
    atomic_store(&helper.stop, true);
    pthread_join(helper.thread, NULL);
    desk_destroy(desk);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

START_TEST(nobody_is_let_in_between_passes)
{
    struct network *network = block_network(NULL, PRECISION_F32, 1);
    struct workspace *w;
    struct desk *desk;
    ck_assert_int_eq(workspace_create(&w, network, 1, NULL), 0);
    ck_assert_int_eq(desk_create(&desk, NULL), 0);
    ck_assert_ptr_null(desk_enter(desk));
    memset(workspace_input(w), 0, BLOCK_INPUT * sizeof(float));
    network_forward_helped(network, w, 1, desk, desk, 0);
    ck_assert_ptr_null(desk_enter(desk));
    desk_destroy(desk);
    desk_destroy(NULL);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

/* Alone, a layer is one run; for each thread that is expected a part is left, whether it comes or
 * not. */
START_TEST(a_run_leaves_tiles_for_those_who_are_expected)
{
    enum { MOST_HELPERS = 5 };
    struct network *network = block_network(NULL, PRECISION_F32, 1);
    struct workspace *w;
    struct desk *desk;
    bool shared = false;
    ck_assert_int_eq(workspace_create(&w, network, IMAGES, NULL), 0);
    ck_assert_int_eq(desk_create(&desk, NULL), 0);
    memset(workspace_input(w), 0, IMAGES * BLOCK_INPUT * sizeof(float));
    for (int helpers = 0; helpers <= MOST_HELPERS; helpers++) {
        memset(&seen, 0, sizeof seen);
        seen.counts = true;
        network_forward_helped(network, w, IMAGES, desk, desk, helpers);
        seen.counts = false;
        for (size_t i = 0; i < BLOCK_LAYERS; i++) {
            int count = network_tile_count(network, i, IMAGES);
            ck_assert_int_eq(seen.tiles[i], count);
            if (helpers == 0)
                ck_assert_int_eq(seen.runs[i], 1);
            else if (count >= 2 * (helpers + 1))
                ck_assert_int_eq(seen.longest[i], count / (2 * (helpers + 1)));
            shared = shared || (helpers == MOST_HELPERS && seen.longest[i] > 1);
        }
    }
    ck_assert(shared);
    desk_destroy(desk);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

TEST_MAIN("nn/help", 60, a_run_leaves_tiles_for_those_who_are_expected,
          a_helped_pass_gives_the_same_bits, a_pass_ends_whenever_its_helpers_come,
          nobody_is_let_in_between_passes)
