#include "model/session.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "image/jpeg_writer.h"
#include "model/init.h"
#include "model/observer.h"
#include "tests/model/folder.h"
#include "tests/random.h"
#include "tests/suite.h"

enum { WIDTH = 40, HEIGHT = 24, MODELS = 2, CLASSES_MAX = 7 };

static struct model *models[MODELS];

static const struct model *const *both(void)
{
    return (const struct model *const *)models;
}

/* Two networks of different inputs and classes. */
static void load_models(void)
{
    for (int i = 0; i < MODELS; i++) {
        char folder[FOLDER_PATH];
        struct template t = folder_template();
        struct model_options options = {0};
        t.input_size = i ? 24 : 16;
        t.classes = i ? CLASSES_MAX : 5;
        folder_make(folder);
        ck_assert(kernel_isas_select(NULL, &options.isas));
        ck_assert_int_eq(model_init_folder(&t, 7, folder, NULL), ERR_OK);
        ck_assert_int_eq(model_load(&models[i], folder, &options, NULL), ERR_OK);
        folder_remove(folder);
    }
}

static void free_models(void)
{
    for (int i = 0; i < MODELS; i++)
        model_destroy(models[i]);
}

/* A JPEG of noise. */
static uint8_t *make_picture(uint64_t seed, size_t *length)
{
    static uint8_t rgbx[WIDTH * HEIGHT * 4];
    const struct jpeg_format format = {WIDTH, HEIGHT, 90, ORIENTATION_NORMAL};
    struct jpeg_writer *writer;
    uint8_t *bytes;
    for (size_t i = 0; i < sizeof rgbx; i++)
        rgbx[i] = (uint8_t)(random_next(&seed) >> 56);
    ck_assert_int_eq(jpeg_writer_create(&writer, &format, NULL), ERR_OK);
    ck_assert_int_eq(jpeg_writer_put(writer, rgbx, HEIGHT, NULL), ERR_OK);
    ck_assert_int_eq(jpeg_writer_finish(writer, &bytes, length, NULL), ERR_OK);
    jpeg_writer_destroy(writer);
    return bytes;
}

static void put_picture(struct session *session, uint64_t seed)
{
    const struct preprocess_options options = {.limits.max_pixels = WIDTH * HEIGHT};
    struct preprocess_report report;
    size_t length;
    uint8_t *bytes = make_picture(seed, &length);
    ck_assert_int_eq(session_decode(session, &options, bytes, length, &report, NULL), ERR_OK);
    ck_assert_int_eq(report.width, WIDTH);
    session_put_rgb(session, 0);
    free(bytes);
}

/* The logits of a picture in a session that shares nothing. */
static void logits_alone(int model, uint64_t seed, float out[CLASSES_MAX])
{
    struct session *alone;
    ck_assert_int_eq(sessions_create(&alone, both() + model, 1, 1, NULL), ERR_OK);
    put_picture(alone, seed);
    memcpy(out, session_forward(alone, NULL, NULL), (size_t)models[model]->classes * sizeof *out);
    sessions_destroy(alone, 1);
}

START_TEST(sessions_of_a_thread_do_not_disturb_each_other)
{
    struct session *sessions;
    load_models();
    ck_assert_int_eq(sessions_create(&sessions, both(), MODELS, 1, NULL), ERR_OK);
    for (int i = 0; i < MODELS; i++)
        put_picture(&sessions[i], (uint64_t)i + 1);
    for (int i = MODELS; i-- > 0;) {
        float wanted[CLASSES_MAX];
        const float *logits = session_forward(&sessions[i], NULL, NULL);
        logits_alone(i, (uint64_t)i + 1, wanted);
        ck_assert_mem_eq(logits, wanted, (size_t)models[i]->classes * sizeof *wanted);
    }
    sessions_destroy(sessions, MODELS);
    free_models();
}
END_TEST

START_TEST(what_is_shared_is_counted_once)
{
    size_t all, first, second;
    load_models();
    ck_assert(sessions_bytes(both(), MODELS, &all));
    ck_assert(sessions_bytes(both(), 1, &first) && sessions_bytes(both() + 1, 1, &second));
    ck_assert_uint_gt(all, first);
    ck_assert_uint_gt(all, second);
    ck_assert_uint_eq(first + second - all,
                      16 * 16 * 3 * (1 + sizeof(float)) + 5 * sizeof(struct prediction));
    free_models();
}
END_TEST

START_TEST(normalised_pixels_are_the_same_picture)
{
    struct session *s;
    float wanted[CLASSES_MAX];
    load_models();
    logits_alone(0, 3, wanted);
    ck_assert_int_eq(sessions_create(&s, both(), 1, 1, NULL), ERR_OK);
    put_picture(s, 3);
    preprocess_normalize(&models[0]->preprocess, s->rgb, 16 * 16, s->tensor);
    memset(s->rgb, 0, 16 * 16 * 3);
    session_put_rgb(s, 0);
    ck_assert_int_eq(session_put_tensor(s, NULL), ERR_OK);
    ck_assert_mem_eq(session_forward(s, NULL, NULL), wanted, 5 * sizeof *wanted);
    sessions_destroy(s, 1);
    free_models();
}
END_TEST

START_TEST(a_class_is_found_with_its_score)
{
    struct session *s;
    struct prediction best, named, numbered;
    float scores[CLASSES_MAX];
    load_models();
    ck_assert_int_eq(sessions_create(&s, both(), 1, 1, NULL), ERR_OK);
    put_picture(s, 4);
    model_scores(models[0], session_forward(s, NULL, NULL), scores);
    ck_assert_int_eq(session_classify(s, 5, NULL), ERR_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert(s->predictions[i].score == scores[s->predictions[i].class_id]);
        ck_assert(i == 0 || s->predictions[i].score <= s->predictions[i - 1].score);
    }
    ck_assert_int_eq(session_find_class(s, NULL, false, &best, NULL), ERR_OK);
    ck_assert_int_eq(best.class_id, s->predictions[0].class_id);
    ck_assert_int_eq(session_find_class(s, "class 3", false, &named, NULL), ERR_OK);
    ck_assert_int_eq(session_find_class(s, "3", true, &numbered, NULL), ERR_OK);
    ck_assert_int_eq(named.class_id, 3);
    ck_assert_int_eq(numbered.class_id, 3);
    ck_assert(named.score == scores[3] && numbered.score == scores[3]);
    ck_assert_int_eq(session_find_class(s, "class 3", true, &named, NULL), ERR_PARAMETER);
    ck_assert_int_eq(session_find_class(s, "class 5", false, &named, NULL), ERR_PARAMETER);
    sessions_destroy(s, 1);
    free_models();
}
END_TEST

START_TEST(results_that_are_not_finite_are_told_of)
{
    struct session *s;
    struct prediction class;
    float out[64]; /* the network has 32 features */
    load_models();
    ck_assert_int_eq(sessions_create(&s, both(), 1, 1, NULL), ERR_OK);
    for (size_t i = 0; i < 16 * 16 * 3; i++)
        s->tensor[i] = NAN;
    ck_assert_int_eq(session_put_tensor(s, NULL), ERR_OK);
    session_forward(s, NULL, NULL);
    ck_assert_int_eq(session_classify(s, 1, NULL), ERR_NOT_FINITE);
    ck_assert_int_eq(session_find_class(s, "class 3", false, &class, NULL), ERR_NOT_FINITE);
    ck_assert_int_eq(session_embed(s, true, out, NULL), ERR_NOT_FINITE);
    ck_assert_int_eq(session_map(s, 0, out, NULL), ERR_NOT_FINITE);
    session_warm_up(s);
    ck_assert_int_eq(session_classify(s, 1, NULL), ERR_OK);
    sessions_destroy(s, 1);
    free_models();
}
END_TEST

static struct model *exact, *quantized, *cascaded;

/* Calibrates on a few pictures. */
static void calibrate(struct calibration *c)
{
    struct observer *observer;
    struct session *s;
    const struct model *model = exact;
    ck_assert_int_eq(observer_create(&observer, exact->network, NULL), ERR_OK);
    ck_assert_int_eq(sessions_create(&s, &model, 1, 1, NULL), ERR_OK);
    for (uint64_t i = 0; i < 8; i++) {
        put_picture(s, 1 + i % 4);
        observer_forward(observer, s->workspace);
        if (i == 3)
            ck_assert_int_eq(observer_second_round(observer, NULL), ERR_OK);
    }
    ck_assert_int_eq(observer_choose(observer, RANGE_MINMAX, c, NULL), ERR_OK);
    calibration_bind(c, exact->sha256, exact->preprocess.mean, exact->preprocess.std);
    sessions_destroy(s, 1);
    observer_destroy(observer);
}

/* A network in float32, in int8, and as a cascade of both. */
static void load_cascade(double margin)
{
    char folder[FOLDER_PATH];
    struct template t = folder_template();
    struct model_options options = {0};
    struct calibration c;
    t.input_size = 16;
    t.classes = 5;
    folder_make(folder);
    ck_assert(kernel_isas_select(NULL, &options.isas));
    ck_assert_int_eq(model_init_folder(&t, 7, folder, NULL), ERR_OK);
    ck_assert_int_eq(model_load(&exact, folder, &options, NULL), ERR_OK);
    calibrate(&c);
    options.precision = PRECISION_INT8;
    options.calibration = &c;
    ck_assert_int_eq(model_load(&quantized, folder, &options, NULL), ERR_OK);
    c.cascade.margin = margin;
    ck_assert_int_eq(model_load(&cascaded, folder, &options, NULL), ERR_OK);
    ck_assert_ptr_null(quantized->exact);
    ck_assert_ptr_nonnull(cascaded->exact);
    ck_assert_uint_eq(model_weight_bytes(cascaded),
                      model_weight_bytes(exact) + model_weight_bytes(quantized));
    calibration_destroy(&c);
    folder_remove(folder);
}

static void free_cascade(void)
{
    model_destroy(exact);
    model_destroy(quantized);
    model_destroy(cascaded);
}

static struct session *session_of(const struct model *model)
{
    struct session *s;
    ck_assert_int_eq(sessions_create(&s, &model, 1, 1, NULL), ERR_OK);
    return s;
}

enum { CELLS = 64, FEATURES = 64 };

/* All results of a pass. */
struct results {
    float logits[5], embedding[FEATURES], map[CELLS];
    struct prediction predictions[5], found;
};

static void read_results(struct session *s, struct results *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->logits, session_logits(s), sizeof out->logits);
    ck_assert_int_eq(session_embed(s, true, out->embedding, NULL), ERR_OK);
    ck_assert_int_eq(session_map(s, 2, out->map, NULL), ERR_OK);
    ck_assert_int_eq(session_find_class(s, "class 3", false, &out->found, NULL), ERR_OK);
    ck_assert_int_eq(session_classify(s, 5, NULL), ERR_OK);
    memcpy(out->predictions, s->predictions, sizeof out->predictions);
}

/* Numbers that no picture has, but within the range of pixels. */
static void put_numbers(struct session *s)
{
    uint64_t seed = 9;
    random_floats(&seed, s->tensor, 16 * 16 * 3);
    ck_assert_int_eq(session_put_tensor(s, NULL), ERR_OK);
}

static void run_picture(struct session *s, bool as_numbers, struct results *out)
{
    if (as_numbers)
        put_numbers(s);
    else
        put_picture(s, 5);
    const float *logits = session_forward(s, NULL, NULL);
    ck_assert_ptr_eq(logits, session_logits(s));
    read_results(s, out);
}

/* The cascade's results are those of `other`. */
static void check_same(const struct model *other, bool as_numbers)
{
    struct session *s = session_of(cascaded), *t = session_of(other);
    struct results got, wanted;
    run_picture(t, as_numbers, &wanted);
    for (int twice = 0; twice < 2; twice++) {
        run_picture(s, as_numbers, &got);
        ck_assert(s->recomputed == (other == exact));
        ck_assert_mem_eq(&got, &wanted, sizeof got);
    }
    ck_assert(!t->recomputed);
    sessions_destroy(s, 1);
    sessions_destroy(t, 1);
}

START_TEST(what_is_unsure_is_computed_in_float32)
{
    load_cascade(1e30);
    check_same(exact, false);
    check_same(exact, true);
    free_cascade();
}
END_TEST

START_TEST(what_is_sure_stays_in_int8)
{
    load_cascade(1e-30);
    check_same(quantized, false);
    check_same(quantized, true);
    free_cascade();
}
END_TEST

START_TEST(the_margin_is_the_smallest_that_is_sure)
{
    load_cascade(1);
    struct session *s = session_of(quantized), *t = session_of(cascaded);
    put_picture(s, 5);
    double margin = (double)model_margin(quantized, session_forward(s, NULL, NULL));
    ck_assert_double_gt(margin, 0);
    for (int above = 0; above < 2; above++) {
        cascaded->cascade.margin = above ? nextafter(margin, INFINITY) : margin;
        put_picture(t, 5);
        session_forward(t, NULL, NULL);
        ck_assert(t->recomputed == (above == 1));
    }
    session_warm_up(t);
    ck_assert(!t->recomputed);
    sessions_destroy(s, 1);
    sessions_destroy(t, 1);
    free_cascade();
}
END_TEST

START_TEST(a_cascade_has_two_workspaces)
{
    size_t all, one, more;
    load_cascade(1e30);
    const struct model *models_of[] = {cascaded, quantized};
    ck_assert(sessions_bytes(models_of, 1, &all) && sessions_bytes(models_of + 1, 1, &one));
    ck_assert(network_workspace_bytes(exact->network, 1, &more));
    ck_assert_uint_eq(all, one + more);
    free_cascade();
}
END_TEST

/* Counts how often it is asked, and gives up when `left` is 0. */
struct patience {
    int asked, left;
};

static bool goes_on(void *arg)
{
    struct patience *p = arg;
    p->asked++;
    return p->left-- > 0;
}

static const float *forward_patiently(struct session *s, struct shared_pass *pass,
                                      struct patience *patience)
{
    const struct pass_terms terms = {.context = s, .go_on = goes_on, .arg = patience};
    put_picture(s, 5);
    return session_forward(s, pass, &terms);
}

START_TEST(either_pass_can_be_given_up)
{
    struct shared_pass *pass;
    struct patience first = {.left = 1 << 20}, both = first;
    load_cascade(1e30);
    ck_assert_int_eq(shared_pass_create(&pass, NULL), ERR_OK);
    struct session *s = session_of(quantized), *t = session_of(cascaded);
    ck_assert_ptr_nonnull(forward_patiently(s, pass, &first));
    ck_assert_ptr_nonnull(forward_patiently(t, pass, &both));
    ck_assert_int_gt(both.asked, first.asked + 1);
    for (int left = 0; left < both.asked; left++) {
        struct patience p = {.left = left};
        ck_assert_ptr_null(forward_patiently(t, pass, &p));
        ck_assert_int_eq(p.asked, left + 1);
    }
    sessions_destroy(s, 1);
    sessions_destroy(t, 1);
    shared_pass_destroy(pass);
    free_cascade();
}
END_TEST

struct helper {
    pthread_t thread;
    struct shared_pass *pass;
    struct session *mine;
    atomic_bool stop;
    atomic_int helped[2]; /* passes of int8 and of float32 */
};

static bool must_stop(void *context)
{
    return atomic_load(&((struct helper *)context)->stop);
}

static void *help(void *arg)
{
    struct helper *h = arg;
    while (!atomic_load(&h->stop)) {
        if (!shared_pass_join(h->pass))
            continue;
        const struct network *network = shared_pass_network(h->pass);
        shared_pass_work(h->pass, session_workspace(h->mine, network), must_stop, h);
        shared_pass_leave(h->pass);
        atomic_fetch_add(&h->helped[network == cascaded->exact], 1);
    }
    return NULL;
}

/* Runs the picture until a helper has joined both kinds of passes. */
START_TEST(both_passes_can_be_helped)
{
    struct results wanted, got;
    load_cascade(1e30);
    struct session *s = session_of(cascaded), *t = session_of(exact);
    struct helper h = {.mine = session_of(cascaded)};
    ck_assert_int_eq(shared_pass_create(&h.pass, NULL), ERR_OK);
    run_picture(t, false, &wanted);
    pthread_create(&h.thread, NULL, help, &h);
    while (atomic_load(&h.helped[0]) == 0 || atomic_load(&h.helped[1]) == 0) {
        const struct pass_terms terms = {.context = s, .expected = 1};
        put_picture(s, 5);
        ck_assert_ptr_nonnull(session_forward(s, h.pass, &terms));
        read_results(s, &got);
        ck_assert_mem_eq(&got, &wanted, sizeof got);
    }
    atomic_store(&h.stop, true);
    pthread_join(h.thread, NULL);
    sessions_destroy(s, 1);
    sessions_destroy(t, 1);
    sessions_destroy(h.mine, 1);
    shared_pass_destroy(h.pass);
    free_cascade();
}
END_TEST

TEST_MAIN("model/session", 60, sessions_of_a_thread_do_not_disturb_each_other,
          what_is_shared_is_counted_once, normalised_pixels_are_the_same_picture,
          a_class_is_found_with_its_score, results_that_are_not_finite_are_told_of,
          what_is_unsure_is_computed_in_float32, what_is_sure_stays_in_int8,
          the_margin_is_the_smallest_that_is_sure, a_cascade_has_two_workspaces,
          either_pass_can_be_given_up, both_passes_can_be_helped)
