#include "serve/request.h"

#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

static struct bodies bodies;
static struct error err;

static struct request *new_request(void)
{
    struct request *r;
    ck_assert_int_eq(request_create(&r, NULL, 0, 3, 2, malloc(10), &err), ERR_OK);
    r->bodies = &bodies;
    return r;
}

START_TEST(a_new_request_is_pending_and_has_room)
{
    struct request *r = new_request();
    ck_assert_int_eq(completion_outcome(&r->completion), COMPLETION_PENDING);
    ck_assert_uint_eq(r->part_count, 2);
    ck_assert_int_eq(request_reserve_predictions(r, &err), ERR_OK);
    for (size_t i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++)
            r->parts[i].predictions[k].class_id = (int)i;
    ck_assert_int_eq(r->parts[0].predictions[2].class_id, 0);
    request_release(r);
    request_release(NULL);
}
END_TEST

START_TEST(a_request_lives_until_its_last_reference)
{
    struct request *r = new_request();
    completion_reference(&r->completion);
    request_release(r);
    ck_assert_int_eq(completion_outcome(&r->completion), COMPLETION_PENDING);
    request_release(r);
}
END_TEST

static int releases;

static void count_release(struct request *request)
{
    ck_assert_ptr_eq(request->codec_state, &releases);
    releases++;
}

START_TEST(a_codec_makes_the_parts_and_is_released)
{
    static const struct request_codec codec = {.release = count_release};
    struct request *r;
    ck_assert_int_eq(request_create(&r, NULL, 0, 1, 0, malloc(10), NULL), ERR_OK);
    ck_assert_uint_eq(r->part_count, 0);
    r->bodies = &bodies;
    r->codec = &codec;
    r->codec_state = &releases;
    for (size_t count = 1; count < 4; count++) {
        ck_assert_int_eq(request_set_parts(r, count, 2, NULL), ERR_OK);
        ck_assert(r->part_count == count && r->top_k == 2);
        ck_assert_int_eq(request_reserve_predictions(r, NULL), ERR_OK);
        r->parts[count - 1].predictions[1].class_id = 5;
        r->parts[count - 1].values = malloc(100);
        r->parts[count - 1].picture = malloc(100);
    }
    ck_assert_int_eq(request_set_parts(r, SIZE_MAX, 2, NULL), ERR_PARAMETER);
    ck_assert_uint_eq(r->part_count, 0);
    ck_assert_int_eq(request_set_parts(r, 2, REQUEST_PREDICTIONS_MAX / 2 + 1, NULL), ERR_PARAMETER);
    ck_assert_int_eq(request_set_parts(r, 2, REQUEST_PREDICTIONS_MAX / 2, NULL), ERR_OK);
    completion_reference(&r->completion);
    request_release(r);
    ck_assert_int_eq(releases, 0);
    request_release(r);
    ck_assert_int_eq(releases, 1);
}
END_TEST

START_TEST(an_upload_counts_until_its_work_is_done)
{
    for (int shed = 0; shed < 2; shed++) {
        struct request *r = new_request();
        bodies_count(&bodies, 10);
        r->upload_size = 10;
        r->parts[0].values = malloc(100);
        r->parts[1].decode_ns = 7;
        if (shed) {
            request_shed(r);
            ck_assert_uint_eq(atomic_load(&bodies.used), 0);
            ck_assert(!r->upload && !r->parts[0].values && !r->parts[1].predictions);
            ck_assert_int_eq(r->parts[1].decode_ns, 7);
        }
        request_release(r);
        ck_assert_uint_eq(atomic_load(&bodies.used), 0);
    }
}
END_TEST

/* Small ones always, as an answer of that size; what is more must fit. */
START_TEST(results_count_until_their_work_is_done)
{
    for (int shed = 0; shed < 2; shed++) {
        struct request *r = new_request();
        bodies_count(&bodies, 1000);
        ck_assert_int_eq(request_reserve_predictions(r, &err), ERR_OK);
        ck_assert_int_eq(request_reserve_values(r, &r->parts[0], 100, &err), ERR_OK);
        ck_assert_uint_eq(r->parts[0].value_count, 100);
        ck_assert_float_eq(r->parts[0].values[99], 0);
        ck_assert_int_eq(request_count_results(r, 50, &err), ERR_OK);
        size_t used = 2 * 3 * sizeof(struct scored_class) + 400 + 50;
        ck_assert_uint_eq(atomic_load(&bodies.used), 1000 + used);

        atomic_store(&bodies.limit, 1000 + 2 * BODIES_SMALL);
        size_t left = (2 * BODIES_SMALL - used) / sizeof(float);
        ck_assert_int_eq(request_reserve_values(r, &r->parts[1], left + 1, &err), ERR_OVERLOADED);
        ck_assert_ptr_nonnull(strstr(err.message, "max_body_bytes"));
        ck_assert_ptr_null(r->parts[1].values);
        ck_assert_int_eq(request_reserve_values(r, &r->parts[1], left, &err), ERR_OK);
        if (shed) {
            request_shed(r);
            ck_assert_uint_eq(atomic_load(&bodies.used), 1000);
        }
        request_release(r);
        bodies_return(&bodies, 1000);
        ck_assert_uint_eq(atomic_load(&bodies.used), 0);
        atomic_store(&bodies.limit, 0);
    }
}
END_TEST

TEST_MAIN("serve/request", 30, a_new_request_is_pending_and_has_room,
          a_request_lives_until_its_last_reference, a_codec_makes_the_parts_and_is_released,
          an_upload_counts_until_its_work_is_done, results_count_until_their_work_is_done)
