/* The server with the installed model, without HTTP. */
#include "serve/server.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/suite.h"

static const int64_t PATIENCE_NS = 100000000000; /* for a request, under memcheck too */

static struct conf conf;
static struct server *server;
static struct error err;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;
static int finished_count;

static const char *source(const char *path)
{
    static char text[1024];
    const char *top = getenv("top_srcdir");
    snprintf(text, sizeof text, "%s/%s", top ? top : ".", path);
    return text;
}

static void start(const char *option, const char *value)
{
    static const char *const endpoints[] = {"/x"};
    static char model[1024];
    snprintf(model, sizeof model, "%s", source("models/resnext29-cifar10"));
    char *argv[] = {"test", "--model", model, (char *)option, (char *)value, NULL};
    enum conf_action action;
    ck_assert_msg(conf_load(&conf, &action, 5, argv, &err) == ERR_OK, "%s", err.message);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct server_settings settings = {
        .conf = &conf, .endpoints = endpoints, .endpoint_count = 1};
    ck_assert_msg(server_start(&server, &settings, &err) == ERR_OK, "%s", err.message);
}

static void stop(void)
{
    server_stop(server);
    conf_free(&conf);
}

static void note_finished(void *waiter)
{
    (void)waiter;
    pthread_mutex_lock(&lock);
    finished_count++;
    pthread_cond_broadcast(&finished);
    pthread_mutex_unlock(&lock);
}

static void wait_finished(int count)
{
    pthread_mutex_lock(&lock);
    while (finished_count < count)
        pthread_cond_wait(&finished, &lock);
    pthread_mutex_unlock(&lock);
}

/* A request with the same picture `copies` times. */
static struct request *new_request(const char *picture, size_t copies)
{
    FILE *f = fopen(source(picture), "rb");
    ck_assert_ptr_nonnull(f);
    uint8_t *bytes = malloc(1 << 20);
    size_t length = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    struct request *r;
    struct generation *generation = server_generation(server);
    ck_assert_int_eq(request_create(&r, generation, 0, 5, copies, bytes, &err), ERR_OK);
    generation_release(generation);
    for (size_t i = 0; i < copies; i++) {
        r->parts[i].jpeg = bytes;
        r->parts[i].length = length;
    }
    r->completion.deadline_ns = clock_monotonic_ns() + PATIENCE_NS;
    r->completion.done = note_finished;
    r->bodies = server_bodies(server);
    return r;
}

static double metric(const char *name)
{
    size_t length;
    char *page = server_render_metrics(server, &length);
    ck_assert_ptr_nonnull(page);
    const char *line = strstr(page, name);
    ck_assert_msg(line, "no %s", name);
    double value = strtod(line + strlen(name), NULL);
    free(page);
    return value;
}

static const char freighter[] = "tests/data/pictures/freighter.jpg";
static const char images[] = "\nresnextd_images_total{model=\"resnext29-cifar10\"}";

START_TEST(a_picture_is_classified)
{
    start("--workers", "1");
    struct request *r = new_request(freighter, 1);
    server_submit(server, r);
    wait_finished(1);
    ck_assert_int_eq(completion_outcome(&r->completion), ERR_OK);
    const struct request_part *part = &r->parts[0];
    ck_assert_int_eq(part->error.code, ERR_OK);
    ck_assert_str_eq(part->predictions[0].label, "ship");
    for (int i = 1; i < 5; i++)
        ck_assert_float_ge(part->predictions[i - 1].score, part->predictions[i].score);
    ck_assert(part->decode_ns > 0 && part->inference_ns > 0 && part->width > 0);
    ck_assert_int_ge(r->started_ns, r->queued_ns);
    request_release(r);
    ck_assert_double_eq(metric(images), 1);
    stop();
}
END_TEST

/* Submits a request for one picture and waits; its part. */
static const struct request_part *run_kind(struct request *r, enum request_kind kind)
{
    static int so_far;
    r->kind = kind;
    server_submit(server, r);
    wait_finished(++so_far);
    ck_assert_int_eq(completion_outcome(&r->completion), ERR_OK);
    return &r->parts[0];
}

START_TEST(features_and_maps_can_be_asked_for)
{
    enum { CHANNELS = 512, PLACES = 8 * 8, CLASSES = 10 };
    start("--workers", "1");
    struct request *r = new_request(freighter, 1);
    r->normalized = true;
    const struct request_part *part = run_kind(r, REQUEST_EMBED);
    double length = 0;
    ck_assert_uint_eq(part->value_count, CHANNELS);
    for (int i = 0; i < CHANNELS; i++)
        length += (double)part->values[i] * (double)part->values[i];
    ck_assert_double_eq_tol(length, 1, 1e-5);
    request_release(r);

    r = new_request(freighter, 1);
    part = run_kind(r, REQUEST_INFER);
    float logit = part->values[8], probability = part->values[CLASSES + 8];
    ck_assert_uint_eq(part->value_count, 2 * CLASSES);
    ck_assert_float_eq(probability, part->predictions[0].score);
    request_release(r);

    r = new_request(freighter, 1);
    r->wants_picture = true;
    part = run_kind(r, REQUEST_EXPLAIN);
    ck_assert(part->rows * part->cols == PLACES && part->value_count == PLACES);
    ck_assert_str_eq(part->predictions[0].label, "ship");
    ck_assert_float_eq(part->predictions[0].score, probability);
    ck_assert(part->picture_length > 100 && part->picture[0] == 0xff);
    float mean = 0;
    for (int i = 0; i < PLACES; i++)
        mean += part->values[i] / PLACES;
    ck_assert_float_eq_tol(mean, logit, 1);
    request_release(r);
    ck_assert_double_eq(metric(images), 3);
    stop();
}
END_TEST

START_TEST(any_class_can_be_explained)
{
    start("--workers", "1");
    static const char *const names[] = {"4", "deer", "ten", "10"};
    for (int i = 0; i < 4; i++) {
        struct request *r = new_request(freighter, 1);
        r->class_name = strdup(names[i]);
        const struct request_part *part = run_kind(r, REQUEST_EXPLAIN);
        if (i < 2) {
            ck_assert_int_eq(part->error.code, ERR_OK);
            ck_assert_int_eq(part->predictions[0].class_id, 4);
            ck_assert_float_lt(part->predictions[0].score, 0.5F);
            ck_assert_ptr_null(part->picture);
        } else {
            ck_assert_int_eq(part->error.code, ERR_PARAMETER);
        }
        request_release(r);
    }
    stop();
}
END_TEST

/* A codec that notes what is called, and hands over gray pixels. */
static char calls[16];

static void note_call(char c)
{
    size_t length = strlen(calls);
    ck_assert_uint_lt(length, sizeof calls - 1);
    calls[length] = c;
}

static int note_decode(struct request *r, struct error *e)
{
    note_call('d');
    return request_set_parts(r, 3, 1, e);
}

static int refuse_decode(struct request *r, struct error *e)
{
    (void)r;
    note_call('d');
    return error_set(e, ERR_BAD_REQUEST, "no");
}

static int note_read(struct request *r, size_t part, float *input, struct error *e)
{
    note_call((char)('0' + part));
    memset(input, 0, 32 * 32 * 3 * sizeof *input);
    return r->codec_state == &calls || part < 1 ? ERR_OK : error_set(e, ERR_BAD_REQUEST, "bad");
}

static int note_encode(struct request *r, struct error *e)
{
    (void)e;
    note_call('e');
    for (size_t i = 0; i < r->part_count; i++)
        ck_assert_uint_eq(r->parts[i].value_count, 20);
    return ERR_OK;
}

static void note_release(struct request *r)
{
    (void)r;
    note_call('r');
}

static struct request *new_coded_request(const struct request_codec *codec)
{
    struct request *r;
    struct generation *generation = server_generation(server);
    ck_assert_int_eq(request_create(&r, generation, 0, 1, 0, NULL, &err), ERR_OK);
    generation_release(generation);
    r->kind = REQUEST_INFER;
    r->bodies = server_bodies(server);
    r->codec = codec;
    r->completion.deadline_ns = clock_monotonic_ns() + PATIENCE_NS;
    r->completion.done = note_finished;
    return r;
}

START_TEST(a_codec_reads_and_writes_in_the_worker)
{
    static const struct request_codec good = {note_decode, note_read, note_encode, note_release,
                                              .all_or_none = true},
                                      bad = {refuse_decode, note_read, note_encode, note_release,
                                             .all_or_none = true};
    static const struct {
        const struct request_codec *codec;
        void *state;
        int failure;
        const char *calls, *message;
    } cases[] = {
        {&good, &calls, ERR_OK, "d012er", ""},
        {&good, NULL, ERR_BAD_REQUEST, "d01r", "image 1: bad"},
        {&bad, NULL, ERR_BAD_REQUEST, "dr", "no"},
    };
    for (int i = 0; i < 3; i++) {
        start("--workers", "1");
        memset(calls, 0, sizeof calls);
        struct request *r = new_coded_request(cases[i].codec);
        r->codec_state = cases[i].state;
        server_submit(server, r);
        wait_finished(i + 1);
        ck_assert_int_eq(completion_outcome(&r->completion), ERR_OK);
        ck_assert_int_eq(r->failure.code, cases[i].failure);
        ck_assert_str_eq(r->failure.message, cases[i].message);
        request_release(r);
        stop(); /* the worker may hold the last reference for a moment */
        ck_assert_str_eq(calls, cases[i].calls);
    }
}
END_TEST

START_TEST(a_bad_part_does_not_harm_the_others)
{
    start("--workers", "1");
    struct request *r = new_request(freighter, 3);
    r->parts[1].length = 3;
    server_submit(server, r);
    wait_finished(1);
    ck_assert_int_eq(completion_outcome(&r->completion), ERR_OK);
    ck_assert_int_eq(r->parts[0].error.code, ERR_OK);
    ck_assert_int_ne(r->parts[1].error.code, ERR_OK);
    ck_assert_int_eq(r->parts[2].error.code, ERR_OK);
    request_release(r);
    stop();
}
END_TEST

/* Classifies pictures one after the other; how long the last was expected to take, and what the
 * network took for it. */
struct times {
    int64_t expected_ns, inference_ns;
};

static struct times classify(int pictures, bool damaged)
{
    static int so_far;
    struct times times = {0};
    for (int i = 0; i < pictures; i++) {
        struct request *r = new_request(freighter, 1);
        if (damaged)
            r->parts[0].length = 300;
        server_submit(server, r);
        wait_finished(++so_far);
        ck_assert_int_eq(r->parts[0].error.code != ERR_OK, damaged);
        times = (struct times){r->expected_ns, r->parts[0].inference_ns};
        request_release(r);
    }
    return times;
}

START_TEST(damaged_pictures_do_not_make_others_seem_quick)
{
    start("--workers", "1");
    classify(40, true);
    int64_t took_ns = classify(1, false).inference_ns;
    int64_t expected_ns = classify(1, true).expected_ns;
    ck_assert_int_ge(expected_ns, took_ns);
    ck_assert_int_ge(classify(40, true).expected_ns, expected_ns);
    stop();
}
END_TEST

START_TEST(pictures_that_a_codec_will_find_are_expected)
{
    static const struct request_codec bad = {.decode = refuse_decode, .release = note_release};
    int64_t expected_ns[2];
    start("--workers", "1");
    classify(1, false);
    for (int i = 0; i < 2; i++) {
        struct request *r = new_coded_request(&bad);
        r->expected_pictures = i == 0 ? 0 : 40;
        server_submit(server, r);
        wait_finished(2 + i);
        expected_ns[i] = r->expected_ns;
        request_release(r);
    }
    ck_assert_int_gt(expected_ns[0], 0);
    ck_assert_int_eq(expected_ns[1], 40 * expected_ns[0]);
    stop();
}
END_TEST

START_TEST(more_than_the_queue_holds_is_refused)
{
    enum { COUNT = 40 };
    start("--workers=1", "--queue-limit=2");
    struct request *r[COUNT];
    int refused = 0, answered = 0;
    for (int i = 0; i < COUNT; i++) {
        r[i] = new_request(freighter, 4);
        server_submit(server, r[i]);
    }
    wait_finished(COUNT);
    for (int i = 0; i < COUNT; i++) {
        refused += completion_outcome(&r[i]->completion) == ERR_OVERLOADED;
        answered += completion_outcome(&r[i]->completion) == ERR_OK;
        request_release(r[i]);
    }
    ck_assert_int_eq(refused + answered, COUNT);
    ck_assert_int_ge(refused, 1);
    ck_assert_int_ge(answered, 2);
    stop();
}
END_TEST

START_TEST(cancelled_and_late_requests_cost_no_inference)
{
    start("--workers=1", "--queue-limit=16");
    struct request *busy = new_request(freighter, 4), *cancelled = new_request(freighter, 1),
                   *late = new_request(freighter, 1);
    late->completion.deadline_ns = clock_monotonic_ns();
    server_submit(server, busy);
    server_submit(server, cancelled);
    server_cancel(server, cancelled, ERR_CLIENT_GONE);
    server_submit(server, late);
    wait_finished(3);
    ck_assert_int_eq(completion_outcome(&busy->completion), ERR_OK);
    ck_assert_int_eq(completion_outcome(&cancelled->completion), ERR_CLIENT_GONE);
    /* It is refused where it waits, or at the door if the worker has begun with the first. */
    ck_assert(completion_outcome(&late->completion) == ERR_DEADLINE ||
              completion_outcome(&late->completion) == ERR_NO_TIME);
    ck_assert_double_eq(metric(images), 4);
    request_release(busy);
    request_release(cancelled);
    request_release(late);
    stop();
}
END_TEST

START_TEST(models_are_found_by_name)
{
    start("--workers", "1");
    size_t index = 99;
    struct generation *generation = server_generation(server);
    ck_assert_uint_eq(generation_model_count(generation), 1);
    ck_assert_int_eq(generation_find_model(generation, NULL, &index, &err), ERR_OK);
    ck_assert_int_eq(generation_find_model(generation, "resnext29-cifar10", &index, &err), ERR_OK);
    ck_assert_uint_eq(index, 0);
    ck_assert_int_eq(generation_model(generation, 0)->classes, 10);
    ck_assert_int_eq(generation_find_model(generation, "nothing", &index, &err), ERR_MODEL_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(err.message, "resnext29-cifar10"));
    generation_release(generation);
    stop();
}
END_TEST

START_TEST(a_draining_server_is_not_ready_but_works)
{
    start("--workers", "1");
    ck_assert_int_eq(server_ready(server, &err), ERR_OK);
    server_begin_drain(server);
    ck_assert_int_eq(server_ready(server, &err), ERR_DRAINING);
    struct request *r = new_request(freighter, 1);
    server_submit(server, r);
    wait_finished(1);
    ck_assert_int_eq(completion_outcome(&r->completion), ERR_OK);
    request_release(r);
    stop();
}
END_TEST

/* A codec that stays in the worker until it is let go. */
static int inside, max_inside;
static bool let_go;

static int stay(struct request *r, struct error *e)
{
    pthread_mutex_lock(&lock);
    inside++;
    max_inside = inside > max_inside ? inside : max_inside;
    pthread_cond_broadcast(&finished);
    while (!let_go)
        pthread_cond_wait(&finished, &lock);
    inside--;
    pthread_mutex_unlock(&lock);
    return request_set_parts(r, 1, 1, e);
}

static int read_gray(struct request *r, size_t part, float *input, struct error *e)
{
    (void)r, (void)part, (void)e;
    memset(input, 0, 32 * 32 * 3 * sizeof *input);
    return ERR_OK;
}

static int encode_nothing(struct request *r, struct error *e)
{
    (void)r, (void)e;
    return ERR_OK;
}

static void release_nothing(struct request *r)
{
    (void)r;
}

/* An answer that goes on for as long as it may, and whether life was seen of the worker meanwhile.
 */
static atomic_bool alive, late;

static int encode_on_and_on(struct request *r, struct error *e)
{
    (void)e;
    int64_t begin = clock_monotonic_ns();
    if (atomic_load(&late))
        r->completion.deadline_ns = begin;
    while (r->answer.failure == ERR_OK) {
        answer_put(&r->answer, "x", 1);
        r->answer.length = 0;
        int64_t so_far = clock_monotonic_ns() - begin;
        if (server_alive(server, so_far))
            atomic_store(&alive, true);
        ck_assert_msg(so_far < PATIENCE_NS / 5, "nothing ends it");
    }
    return ERR_OK;
}

static struct request *submit_one_that_goes_on(bool is_late)
{
    static const struct request_codec codec = {.encode = encode_on_and_on,
                                               .release = release_nothing};
    struct request *r = new_request(freighter, 1);
    r->codec = &codec;
    atomic_store(&late, is_late);
    atomic_store(&alive, false);
    server_submit(server, r);
    return r;
}

START_TEST(an_answer_that_nobody_waits_for_is_not_written_to_its_end)
{
    start("--workers", "1");
    struct request *r = submit_one_that_goes_on(true);
    wait_finished(1);
    ck_assert_int_eq(completion_outcome(&r->completion), ERR_DEADLINE);
    request_release(r);

    r = submit_one_that_goes_on(false);
    while (!atomic_load(&alive))
        sched_yield();
    server_cancel(server, r, ERR_CLIENT_GONE);
    request_release(r);
    stop(); /* waits for the worker */
}
END_TEST

static struct request *submit_one_that_stays(void)
{
    static const struct request_codec codec = {stay, read_gray, encode_nothing, release_nothing,
                                               .all_or_none = true};
    struct request *r = new_request(freighter, 0);
    r->kind = REQUEST_INFER;
    r->codec = &codec;
    server_submit(server, r);
    return r;
}

static void wait_inside(int count)
{
    pthread_mutex_lock(&lock);
    while (inside < count)
        pthread_cond_wait(&finished, &lock);
    pthread_mutex_unlock(&lock);
}

static void let_go_of_all(bool now)
{
    pthread_mutex_lock(&lock);
    let_go = now;
    pthread_cond_broadcast(&finished);
    pthread_mutex_unlock(&lock);
}

static struct generation *prepare(const char *workers)
{
    struct conf *next = calloc(1, sizeof *next);
    char model[1024];
    snprintf(model, sizeof model, "%s", source("models/resnext29-cifar10"));
    char *argv[] = {"test", "--model", model, "--workers", (char *)workers, NULL};
    enum conf_action action;
    struct generation *generation;
    ck_assert_int_eq(conf_load(next, &action, 5, argv, &err), ERR_OK);
    ck_assert_msg(server_prepare(server, next, &generation, &err) == ERR_OK, "%s", err.message);
    return generation;
}

static void release_answered(struct request **requests, int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(completion_outcome(&requests[i]->completion), ERR_OK);
        ck_assert_int_eq(requests[i]->failure.code, ERR_OK);
        request_release(requests[i]);
    }
}

START_TEST(another_generation_has_another_number_of_workers)
{
    struct request *r[8];
    start("--workers", "1");
    r[0] = submit_one_that_stays();
    r[1] = submit_one_that_stays();
    wait_inside(1);
    server_install(server, prepare("3"));
    wait_inside(
        2); /* the second one is of the first generation, too, which has no buffers for it */
    r[2] = submit_one_that_stays();
    wait_inside(3);
    ck_assert_double_eq(metric("\nresnextd_workers "), 3);
    ck_assert_double_eq(metric("\nresnextd_queue_limit "), 24);
    ck_assert_double_eq(metric("\nresnextd_workers_busy "), 3);

    server_install(server, prepare("1"));
    ck_assert_double_eq(metric("\nresnextd_workers "), 1);
    ck_assert_double_eq(metric("\nresnextd_queue_limit "), 8);
    ck_assert_double_eq(metric("\nresnextd_workers_busy "), 1);
    let_go_of_all(true);
    wait_finished(3);
    let_go_of_all(false);
    max_inside = 0;
    for (int i = 3; i < 6; i++)
        r[i] = submit_one_that_stays();
    wait_inside(1);
    let_go_of_all(true);
    wait_finished(6);
    ck_assert_int_eq(max_inside, 1);

    let_go_of_all(false);
    server_install(server, prepare("2")); /* one that has ended begins again */
    for (int i = 6; i < 8; i++)
        r[i] = submit_one_that_stays();
    wait_inside(2);
    let_go_of_all(true);
    wait_finished(8);
    release_answered(r, 8);
    stop();
}
END_TEST

START_TEST(a_generation_that_is_not_installed_changes_nothing)
{
    start("--workers", "1");
    server_discard(server, prepare("2"));
    ck_assert_double_eq(metric("\nresnextd_workers "), 1);
    struct request *r[2] = {submit_one_that_stays(), submit_one_that_stays()};
    wait_inside(1);
    let_go_of_all(true);
    wait_finished(2);
    ck_assert_int_eq(max_inside, 1);
    release_answered(r, 2);
    server_install(server, prepare("2"));
    ck_assert_double_eq(metric("\nresnextd_workers "), 2);
    stop();
}
END_TEST

START_TEST(a_missing_model_is_an_error_with_its_name)
{
    char *argv[] = {"test", "--model", "gone=/nonexistent", NULL};
    enum conf_action action;
    static const char *const endpoints[] = {"/x"};
    ck_assert_int_eq(conf_load(&conf, &action, 3, argv, &err), ERR_OK);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct server_settings settings = {
        .conf = &conf, .endpoints = endpoints, .endpoint_count = 1};
    ck_assert_int_ne(server_start(&server, &settings, &err), ERR_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "gone"));
    conf_free(&conf);
}
END_TEST

TEST_MAIN("serve/server", 60, a_picture_is_classified, features_and_maps_can_be_asked_for,
          any_class_can_be_explained, a_codec_reads_and_writes_in_the_worker,
          pictures_that_a_codec_will_find_are_expected,
          an_answer_that_nobody_waits_for_is_not_written_to_its_end,
          a_bad_part_does_not_harm_the_others, damaged_pictures_do_not_make_others_seem_quick,
          more_than_the_queue_holds_is_refused, cancelled_and_late_requests_cost_no_inference,
          models_are_found_by_name, a_draining_server_is_not_ready_but_works,
          another_generation_has_another_number_of_workers,
          a_generation_that_is_not_installed_changes_nothing,
          a_missing_model_is_an_error_with_its_name)
