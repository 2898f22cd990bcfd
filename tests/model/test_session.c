#include "model/session.h"

#include <math.h>

#include "image/jpeg_writer.h"
#include "model/init.h"
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
    memcpy(out, session_forward(alone, 1, NULL, NULL),
           (size_t)models[model]->classes * sizeof *out);
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
        const float *logits = session_forward(&sessions[i], 1, NULL, NULL);
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
    ck_assert_mem_eq(session_forward(s, 1, NULL, NULL), wanted, 5 * sizeof *wanted);
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
    model_scores(models[0], session_forward(s, 1, NULL, NULL), scores);
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
    session_forward(s, 1, NULL, NULL);
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

TEST_MAIN("model/session", 20, sessions_of_a_thread_do_not_disturb_each_other,
          what_is_shared_is_counted_once, normalised_pixels_are_the_same_picture,
          a_class_is_found_with_its_score, results_that_are_not_finite_are_told_of)
