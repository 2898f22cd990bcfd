#include "nn/shared_pass.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/nn/block.h"
#include "tests/nn/se_block.h"
#include "tests/random.h"
#include "tests/suite.h"

#ifdef __SANITIZE_THREAD__ /* each takes some 10 ms there */
enum { MANY_PASSES = 500 };
#else
enum { MANY_PASSES = 20000 };
#endif

enum { HELPERS = 3, PASSES = 24, IMAGES = 3, ALWAYS = 1 << 30 };

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

/* A thread that helps with the pass until it is told to stop. */
struct helper {
    pthread_t thread;
    struct shared_pass *shared;
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
    ck_assert_int_eq(workspace_create(&mine, h->network, 1, NULL), ERR_OK);
    while (!atomic_load(&h->stop)) {
        if (!shared_pass_join(h->shared))
            continue;
        h->left = h->patience;
        shared_pass_work(h->shared, mine, has_enough, h);
        shared_pass_leave(h->shared);
        atomic_fetch_add(&h->visits, 1);
    }
    workspace_destroy(mine);
    return NULL;
}

/* An owner who gives up when it was asked `max` times. */
struct patience {
    int asked, max;
};

static bool is_patient(void *arg)
{
    struct patience *p = arg;
    return p->asked++ < p->max;
}

static long all_visits(struct helper helpers[HELPERS])
{
    long visits = 0;
    for (int i = 0; i < HELPERS; i++)
        visits += atomic_load(&helpers[i].visits);
    return visits;
}

/* Any numbers of the network's elements, none of them a NaN. */
static void fill_input(const struct network *network, void *out, size_t count)
{
    enum precision precision = network_precision(network);
    uint64_t seed = 3;
    for (size_t i = 0; i < count; i++) {
        float value;
        random_floats(&seed, &value, 1);
        if (precision == PRECISION_F32)
            ((float *)out)[i] = value;
        else if (precision == PRECISION_BF16)
            ((uint16_t *)out)[i] = bf16_from_f32(value);
        else
            ((uint8_t *)out)[i] = (uint8_t)(128 + 127 * value);
    }
}

/* Destroys the network. */
static void check_helped(struct network *network)
{
    const size_t input_size =
        network_value_size(network, 0) * precision_size(network_precision(network));
    const size_t classes = network_value_size(network, (int)network_layer_count(network));
    struct workspace *alone, *helped;
    struct shared_pass *shared;
    struct helper helpers[HELPERS];
    unsigned char *input = malloc(IMAGES * input_size);
    ck_assert_ptr_nonnull(input);
    fill_input(network, input, IMAGES * network_value_size(network, 0));
    ck_assert_int_eq(workspace_create(&alone, network, IMAGES, NULL), ERR_OK);
    ck_assert_int_eq(workspace_create(&helped, network, IMAGES, NULL), ERR_OK);
    ck_assert_int_eq(shared_pass_create(&shared, NULL), ERR_OK);
    for (int i = 0; i < HELPERS; i++) {
        helpers[i] = (struct helper){.shared = shared, .network = network};
        helpers[i].patience = i == 0 ? 1 << 30 : 7 * i;
        ck_assert_int_eq(pthread_create(&helpers[i].thread, NULL, helper_main, &helpers[i]), 0);
    }
    for (int pass = 0; pass < PASSES || all_visits(helpers) == 0; pass++) {
        int images = 1 + pass % IMAGES;
        memcpy(workspace_input(alone), input, IMAGES * input_size);
        memcpy(workspace_input(helped), input, IMAGES * input_size);
        const float *expected = network_forward(network, alone, images);
        struct patience patience = {.max = pass % 2 ? pass : ALWAYS};
        const struct pass_terms terms = {shared, pass % 3, is_patient, &patience};
        const float *logits = network_forward_helped(network, helped, images, shared, &terms);
        ck_assert(logits || patience.asked == patience.max + 1);
        if (!logits) /* and the next pass finds all in order */
            continue;
        ck_assert_mem_eq(expected, logits, (size_t)images * classes * sizeof *logits);
    }
    for (int i = 0; i < HELPERS; i++) {
        atomic_store(&helpers[i].stop, true);
        pthread_join(helpers[i].thread, NULL);
    }
    shared_pass_destroy(shared);
    workspace_destroy(alone);
    workspace_destroy(helped);
    free(input);
    network_destroy(network);
}

START_TEST(a_helped_pass_gives_the_same_bits)
{
    for (const char *const *isa = kernel_isa_choices + 1; *isa; isa++) {
        struct kernel_isas isas;
        if (kernel_isas_select(*isa, &isas))
            check_helped(block_network(*isa, PRECISION_F32, 1));
    }
}
END_TEST

START_TEST(attention_is_helped_with)
{
    for (enum precision precision = 0; precision < PRECISION_COUNT; precision++)
        for (int kernel = 1; kernel <= 3; kernel += 2)
            check_helped(se_network(NULL, precision, kernel));
}
END_TEST

/* A helper that looks for the next layer just when there is none must leave, or the pass would wait
 * for it for ever. */
START_TEST(a_pass_ends_whenever_its_helpers_come)
{
    struct network *network = block_network(NULL, PRECISION_F32, 1);
    struct workspace *w;
    struct shared_pass *shared;
    struct helper helper = {.network = network, .patience = 1 << 30};
    ck_assert_int_eq(workspace_create(&w, network, 1, NULL), ERR_OK);
    ck_assert_int_eq(shared_pass_create(&shared, NULL), ERR_OK);
    memset(workspace_input(w), 0, BLOCK_INPUT * sizeof(float));
    helper.shared = shared;
    ck_assert_int_eq(pthread_create(&helper.thread, NULL, helper_main, &helper), 0);
    for (int pass = 0; pass < MANY_PASSES || atomic_load(&helper.visits) < MANY_PASSES / 100;
         pass++) {
        struct patience patience = {.max = pass % 3 ? ALWAYS : pass % BLOCK_LAYERS};
        const struct pass_terms terms = {shared, 0, is_patient, &patience};
        network_forward_helped(network, w, 1, shared, &terms);
    }
    atomic_store(&helper.stop, true);
    pthread_join(helper.thread, NULL);
    shared_pass_destroy(shared);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

START_TEST(nobody_is_let_in_between_passes)
{
    struct network *network = block_network(NULL, PRECISION_F32, 1);
    struct workspace *w;
    struct shared_pass *shared;
    ck_assert_int_eq(workspace_create(&w, network, 1, NULL), ERR_OK);
    ck_assert_int_eq(shared_pass_create(&shared, NULL), ERR_OK);
    ck_assert_ptr_null(shared_pass_join(shared));
    memset(workspace_input(w), 0, BLOCK_INPUT * sizeof(float));
    struct patience patience = {.max = 1};
    const struct pass_terms whole = {.context = shared},
                            cut = {.context = shared, .go_on = is_patient, .arg = &patience};
    ck_assert_ptr_nonnull(network_forward_helped(network, w, 1, shared, &whole));
    ck_assert_ptr_null(shared_pass_join(shared));
    ck_assert_ptr_null(network_forward_helped(network, w, 1, shared, &cut));
    ck_assert_ptr_null(shared_pass_join(shared));
    shared_pass_destroy(shared);
    shared_pass_destroy(NULL);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

/* Alone, a layer is one run; for each thread that is expected a part is left, whether it comes or
 * not. */
START_TEST(a_run_leaves_tiles_for_those_who_are_expected)
{
    enum { MAX_HELPERS = 5 };
    struct network *network = block_network(NULL, PRECISION_F32, 1);
    struct workspace *w;
    struct shared_pass *shared;
    bool is_split = false;
    ck_assert_int_eq(workspace_create(&w, network, IMAGES, NULL), ERR_OK);
    ck_assert_int_eq(shared_pass_create(&shared, NULL), ERR_OK);
    memset(workspace_input(w), 0, IMAGES * BLOCK_INPUT * sizeof(float));
    for (int helpers = 0; helpers <= MAX_HELPERS; helpers++) {
        memset(&seen, 0, sizeof seen);
        seen.counts = true;
        const struct pass_terms terms = {.context = shared, .expected = helpers};
        network_forward_helped(network, w, IMAGES, shared, &terms);
        seen.counts = false;
        for (size_t i = 0; i < BLOCK_LAYERS; i++) {
            int count = network_tile_count(network, i, IMAGES);
            ck_assert_int_eq(seen.tiles[i], count);
            if (helpers == 0)
                ck_assert_int_eq(seen.runs[i], 1);
            else if (count >= 2 * (helpers + 1))
                ck_assert_int_eq(seen.longest[i], count / (2 * (helpers + 1)));
            is_split = is_split || (helpers == MAX_HELPERS && seen.longest[i] > 1);
        }
    }
    ck_assert(is_split);
    shared_pass_destroy(shared);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

/* One layer of `operations` multiply-adds, in many tiles. */
static struct network *wide_network(int64_t operations)
{
    enum { EDGE = 64, CHANNELS = 32 };
    int out = (int)(operations / (EDGE * EDGE * CHANNELS));
    const struct layer layer = {
        .kind = LAYER_CONV,
        .shape = {EDGE, EDGE, CHANNELS, EDGE, EDGE, out, 1, 1, 0, 1},
        .residual = LAYER_NO_VALUE,
    };
    struct network_options options = {.precision = PRECISION_F32};
    struct network *network;
    float *zeros = calloc((size_t)out * CHANNELS, sizeof *zeros);
    ck_assert_ptr_nonnull(zeros);
    ck_assert(kernel_isas_select("auto", &options.isas));
    ck_assert_int_eq(network_create(&network, &layer, 1, &options, NULL), ERR_OK);
    ck_assert_int_eq(network_set_weights(network, 0, zeros, zeros, NULL), ERR_OK);
    free(zeros);
    return network;
}

/* Whoever waits for a layer of a second is asked, and heard, many times in it. */
START_TEST(a_long_layer_can_be_given_up_between_its_runs)
{
    enum { RUNS = 2 };
    struct network *network = wide_network((int64_t)RUNS * RUN_OPERATIONS);
    struct workspace *w;
    struct shared_pass *shared;
    struct patience patience = {.max = ALWAYS};
    const struct pass_terms terms = {.go_on = is_patient, .arg = &patience, .context = network};
    ck_assert_int_eq(workspace_create(&w, network, 1, NULL), ERR_OK);
    ck_assert_int_eq(shared_pass_create(&shared, NULL), ERR_OK);
    memset(&seen, 0, sizeof seen);
    seen.counts = true;
    ck_assert_ptr_nonnull(network_forward_helped(network, w, 1, shared, &terms));
    ck_assert_int_ge(seen.runs[0], RUNS);
    ck_assert_int_eq(patience.asked, seen.runs[0] + 1);
    for (int max = 0; max < RUNS; max++) {
        memset(&seen, 0, sizeof seen);
        seen.counts = true;
        patience = (struct patience){.max = max};
        ck_assert_ptr_null(network_forward_helped(network, w, 1, shared, &terms));
        ck_assert_int_eq(seen.runs[0], max);
    }
    seen.counts = false;
    shared_pass_destroy(shared);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

TEST_MAIN("nn/help", 60, a_long_layer_can_be_given_up_between_its_runs,
          a_run_leaves_tiles_for_those_who_are_expected, a_helped_pass_gives_the_same_bits,
          attention_is_helped_with, a_pass_ends_whenever_its_helpers_come,
          nobody_is_let_in_between_passes)
