#include "tool/cascade.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/random.h"
#include "tests/suite.h"

enum { CLASSES = 10, PICTURES = 500, FRESH = 200000 };

static const struct model softmax = {.activation = ACTIVATION_SOFTMAX, .classes = CLASSES};
static const struct model sigmoid = {.activation = ACTIVATION_SIGMOID, .classes = CLASSES};

static float uniform(uint64_t *seed)
{
    float number;
    random_floats(seed, &number, 1);
    return number;
}

/* Of the standard normal distribution, nearly: 12 uniform numbers have a variance of 4. */
static float normal(uint64_t *seed)
{
    float sum = 0;
    for (int i = 0; i < 12; i++)
        sum += uniform(seed);
    return sum / 2;
}

/* Logits of -4..4 in float32; int8 adds normal noise. */
static float *draw(uint64_t seed, size_t pictures, float noise)
{
    float *logits = calloc(pictures, 2 * CLASSES * sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    for (size_t i = 0; i < pictures; i++)
        for (size_t c = 0; c < CLASSES; c++) {
            float *at = logits + 2 * i * CLASSES + c;
            at[0] = 4 * uniform(&seed);
            at[CLASSES] = at[0] + noise * normal(&seed);
        }
    return logits;
}

static bool decides_alike(const struct model *model, const float *a, const float *b)
{
    int first = 0, second = 0;
    for (int c = 0; c < CLASSES; c++) {
        if (model->activation == ACTIVATION_SIGMOID && (a[c] >= 0) != (b[c] >= 0))
            return false;
        first = a[c] > a[first] ? c : first;
        second = b[c] > b[second] ? c : second;
    }
    return model->activation == ACTIVATION_SIGMOID || first == second;
}

struct outcome {
    double agreement, fraction;
};

/* What a cascade makes of pictures. */
static struct outcome apply(const struct model *model, const float *logits, size_t pictures,
                            double margin)
{
    size_t alike = 0, again = 0;
    for (size_t i = 0; i < pictures; i++) {
        const float *exact = logits + 2 * i * CLASSES, *other = exact + CLASSES;
        bool unsure = (double)model_margin(model, other) < margin;
        again += unsure;
        alike += unsure || decides_alike(model, exact, other);
    }
    return (struct outcome){(double)alike / (double)pictures, (double)again / (double)pictures};
}

static struct cascade choose(const struct model *model, uint64_t seed, size_t pictures, float noise,
                             double agreement)
{
    struct cascade cascade;
    struct error err;
    float *logits = draw(seed, pictures, noise);
    int code = cascade_choose(model, logits, pictures, agreement, &cascade, &err);
    ck_assert_msg(code == ERR_OK, "%s", err.message);
    struct outcome own = apply(model, logits, pictures, cascade.margin);
    ck_assert_double_ge(own.agreement, agreement);
    ck_assert_double_eq_tol(own.fraction, cascade.fraction, 1e-9);
    free(logits);
    return cascade;
}

/* The fraction with which an agreement is just reached. */
static double least_fraction(const struct model *model, const float *logits, double agreement)
{
    double low = 0, high = 8;
    for (int i = 0; i < 30; i++) {
        double middle = (low + high) / 2;
        bool enough = apply(model, logits, FRESH, middle).agreement >= agreement;
        *(enough ? &high : &low) = middle;
    }
    return apply(model, logits, FRESH, high).fraction;
}

/* Of 40 promises by different pictures, 95 % are to hold on others: 35 may be expected at the very
 * least. The fraction is to be near the least that holds. */
static void check_promise(const struct model *model, float noise, double agreement, double dearer)
{
    enum { TRIALS = 40 };
    float *fresh = draw(1, FRESH, noise);
    double least = least_fraction(model, fresh, agreement), sum = 0;
    int held = 0;
    ck_assert_double_lt(apply(model, fresh, FRESH, 0).agreement, agreement);
    for (uint64_t i = 0; i < TRIALS; i++) {
        struct cascade c = choose(model, 2 + i, PICTURES, noise, agreement);
        ck_assert_double_eq(c.agreement, agreement);
        held += apply(model, fresh, FRESH, c.margin).agreement >= agreement;
        sum += c.fraction / TRIALS;
    }
    ck_assert_msg(held >= 35, "%d of %d held", held, TRIALS);
    ck_assert_msg(sum >= least && sum <= dearer * least, "%g, at least %g", sum, least);
    free(fresh);
}

START_TEST(a_promise_holds_on_other_pictures)
{
    check_promise(&softmax, 0.08F, 0.99, 1.5);
    check_promise(&softmax, 0.08F, 0.995, 1.5);
}
END_TEST

START_TEST(a_promise_holds_for_sigmoids)
{
    check_promise(&sigmoid, 0.05F, 0.99, 1.5);
}
END_TEST

/* By how much int8 decides in comparison c of a picture, and what it adds to that: of the best
 * class with the five that follow, or of a logit with 0. */
static float gap_of(const struct model *model, const float *logits, int c, float *added)
{
    const float *exact = logits, *other = logits + CLASSES;
    if (model->activation == ACTIVATION_SIGMOID) {
        float sign = other[c] >= 0 ? 1 : -1;
        *added = sign * other[c] - sign * exact[c];
        return sign * other[c];
    }
    struct prediction top[CLASSES];
    model_top_k(model, other, CLASSES, top);
    int best = top[0].class_id, rival = top[c + 1].class_id;
    *added = other[best] - other[rival] - (exact[best] - exact[rival]);
    return other[best] - other[rival];
}

/* Whether the noise of one picture, with a sign, turns the decision of another. */
static bool turns(const struct model *model, const float *noisy, float sign, const float *decided)
{
    int comparisons = model->activation == ACTIVATION_SIGMOID ? CLASSES : 5;
    for (int c = 0; c < comparisons; c++) {
        float added, ignored;
        gap_of(model, noisy, c, &added);
        if (sign * added > gap_of(model, decided, c, &ignored))
            return true;
    }
    return false;
}

/* The risk of a picture, by the noise of at most 1000. */
static double plain_risk(const struct model *model, const float *logits, size_t pictures, size_t at)
{
    size_t tried = pictures < 1000 ? pictures : 1000, turned = 0;
    for (size_t i = 0; i < tried; i++)
        for (int sign = -1; sign <= 1; sign += 2)
            turned += turns(model, logits + 2 * CLASSES * (i * pictures / tried), (float)sign,
                            logits + 2 * CLASSES * at);
    return (double)turned / (2 * (double)tried);
}

/* How many may differ of the pictures with a margin of at least this much. */
static double plain_bound(const struct model *model, const float *logits, const double *risks,
                          size_t pictures, double margin)
{
    double differing = 0, expected = 0, squares = 0;
    for (size_t i = 0; i < pictures; i++) {
        const float *exact = logits + 2 * CLASSES * i, *other = exact + CLASSES;
        if ((double)model_margin(model, other) < margin)
            continue;
        differing += !decides_alike(model, exact, other);
        expected += risks[i];
        squares += risks[i] * risks[i];
    }
    return fmax(differing, 1.5 * expected + 1.645 * sqrt(squares));
}

/* The margin is of a picture: with it the promise is kept, and with any lower one it is not. */
static void check_choice(const struct model *model, size_t pictures, float noise, double agreement)
{
    double *risks = calloc(pictures, sizeof *risks), allowed = (1 - agreement) * (double)pictures;
    float *logits = draw(7, pictures, noise);
    struct cascade c;
    ck_assert_ptr_nonnull(risks);
    ck_assert_int_eq(cascade_choose(model, logits, pictures, agreement, &c, NULL), ERR_OK);
    double below = 0;
    for (size_t i = 0; i < pictures; i++) {
        double margin = (double)model_margin(model, logits + CLASSES * (2 * i + 1));
        below = margin < c.margin ? fmax(below, margin) : below;
        risks[i] = plain_risk(model, logits, pictures, i);
    }
    ck_assert_double_gt(c.margin, 0);
    ck_assert_double_le(plain_bound(model, logits, risks, pictures, c.margin), allowed);
    ck_assert_double_gt(plain_bound(model, logits, risks, pictures, below), allowed);
    free(risks);
    free(logits);
}

START_TEST(the_margin_is_that_of_plain_loops)
{
    check_choice(&softmax, 200, 0.08F, 0.99);
    check_choice(&softmax, 200, 1, 0.7);
    check_choice(&sigmoid, 400, 0.05F, 0.99);
    check_choice(&sigmoid, 1100, 0.5F, 0.6);
}
END_TEST

START_TEST(what_agrees_anyway_needs_no_cascade)
{
    struct cascade c = choose(&softmax, 3, PICTURES, 0, 0.999);
    ck_assert(c.margin == 0 && c.agreement == 0 && c.fraction == 0);
}
END_TEST

START_TEST(a_higher_promise_costs_more)
{
    double before = 0;
    static const double promises[] = {0.99, 0.995, 0.999};
    for (size_t i = 0; i < 3; i++) {
        struct cascade c = choose(&softmax, 3, PICTURES, 0.03F, promises[i]);
        ck_assert_double_gt(c.margin, before);
        before = c.margin;
    }
}
END_TEST

/* What is told apart by nothing is computed again together. */
START_TEST(equal_pictures_share_a_fate)
{
    struct cascade c;
    float *logits = draw(5, 2 * PICTURES, 0.03F);
    memcpy(logits + 2 * CLASSES * PICTURES, logits, 2 * CLASSES * PICTURES * sizeof *logits);
    ck_assert_int_eq(cascade_choose(&softmax, logits, 2 * PICTURES, 0.995, &c, NULL), ERR_OK);
    struct outcome own = apply(&softmax, logits, 2 * PICTURES, c.margin);
    ck_assert_double_eq_tol(own.fraction, c.fraction, 1e-9);
    free(logits);
}
END_TEST

START_TEST(what_cannot_be_promised_is_refused)
{
    struct cascade c;
    struct error err;
    float *logits = draw(5, PICTURES, 100);
    ck_assert_int_eq(cascade_choose(&softmax, logits, 99, 0.99, &c, &err), ERR_PARAMETER);
    ck_assert_ptr_nonnull(strstr(err.message, "99 % needs 100 or more pictures held out, but"));
    ck_assert_int_eq(cascade_choose(&softmax, logits, 249, 0.999, &c, &err), ERR_PARAMETER);
    ck_assert_ptr_nonnull(strstr(err.message, "99.9 % needs 250 or more pictures"));
    ck_assert_uint_eq(cascade_images_needed(0.5), 100);
    ck_assert_uint_eq(cascade_images_needed(0.9999), 2500);
    ck_assert_int_eq(cascade_choose(&softmax, logits, PICTURES, 0.999, &c, &err), ERR_PARAMETER);
    ck_assert_ptr_nonnull(strstr(err.message, "would take float32 for all of the 500"));
    free(logits);
}
END_TEST

START_TEST(a_margin_that_no_calibration_may_have_is_refused)
{
    struct cascade c;
    struct error err;
    float *logits = draw(5, PICTURES, 0.08F);
    for (size_t i = 0; i < (size_t)PICTURES * 2 * CLASSES; i++)
        logits[i] *= 1e-35F;
    ck_assert_int_eq(cascade_choose(&softmax, logits, PICTURES, 0.99, &c, &err),
                     ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "a margin of "));
    free(logits);
}
END_TEST

/* There is nothing to decide. */
START_TEST(a_single_class_is_always_right)
{
    const struct model one = {.activation = ACTIVATION_SOFTMAX, .classes = 1};
    struct cascade c;
    float *logits = draw(5, PICTURES, 1);
    ck_assert_int_eq(cascade_choose(&one, logits, PICTURES, 0.999, &c, NULL), ERR_OK);
    ck_assert(c.margin == 0);
    free(logits);
}
END_TEST

TEST_MAIN("tool/cascade", 60, a_promise_holds_on_other_pictures, a_promise_holds_for_sigmoids,
          the_margin_is_that_of_plain_loops, what_agrees_anyway_needs_no_cascade,
          a_higher_promise_costs_more, equal_pictures_share_a_fate,
          what_cannot_be_promised_is_refused, a_margin_that_no_calibration_may_have_is_refused,
          a_single_class_is_always_right)
