#include "tool/cascade.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tool/agreement.h"

enum {
    RIVALS = 5,        /* classes next to the best that may take its place */
    NOISES_MAX = 1000, /* that each picture is tried with */
};

/* Standard deviations of a bound that holds with 95 %; and a factor on the risk, as close decisions
 * were turned up to 1.5 times as often as the noise of all pictures suggests (ResNet-50, photos).
 */
static const double confidence = 1.645, allowance = 1.5;

struct picture {
    double margin, risk;
    bool differs; /* the decisions of int8 and float32 */
};

/* A decision is a set of comparisons: of the best class with its rivals, or of each logit with 0.
 */
struct sample {
    size_t images, comparisons; /* of each picture */
    float *gaps;                /* [images][comparisons]: 0 or more, by how much int8 decides */
    float *noises;              /* the same, less the gap in float32 */
    struct picture *pictures;   /* [images] */
};

static void compare_rivals(const struct sample *s, const struct model *model, const float *exact,
                           const float *other, size_t at)
{
    struct prediction top[RIVALS + 1];
    model_top_k(model, other, (int)s->comparisons + 1, top);
    int best = top[0].class_id;
    for (size_t i = 0; i < s->comparisons; i++) {
        int rival = top[i + 1].class_id;
        s->gaps[at + i] = other[best] - other[rival];
        s->noises[at + i] = s->gaps[at + i] - (exact[best] - exact[rival]);
    }
}

static void compare_with_zero(const struct sample *s, const float *exact, const float *other,
                              size_t at)
{
    for (size_t i = 0; i < s->comparisons; i++) {
        s->gaps[at + i] = fabsf(other[i]);
        s->noises[at + i] = (other[i] >= 0 ? 1 : -1) * (other[i] - exact[i]);
    }
}

static bool turns(const float *noise, float sign, const float *gaps, size_t comparisons)
{
    for (size_t i = 0; i < comparisons; i++)
        if (sign * noise[i] > gaps[i])
            return true;
    return false;
}

static double risk_of(const struct sample *s, size_t image)
{
    size_t count = s->images < NOISES_MAX ? s->images : NOISES_MAX, turned = 0;
    const float *gaps = s->gaps + image * s->comparisons;
    for (size_t i = 0; i < count; i++) {
        const float *noise = s->noises + i * s->images / count * s->comparisons;
        turned += (size_t)turns(noise, 1, gaps, s->comparisons) +
                  (size_t)turns(noise, -1, gaps, s->comparisons);
    }
    return (double)turned / (2 * (double)count);
}

static void fill(struct sample *s, const struct model *model, const float *logits)
{
    size_t classes = (size_t)model->classes;
    for (size_t i = 0; i < s->images; i++) {
        const float *exact = logits + 2 * i * classes, *other = exact + classes;
        s->pictures[i].margin = (double)model_margin(model, other);
        s->pictures[i].differs = !agreement_of(model, exact, other);
        if (model->activation == ACTIVATION_SOFTMAX)
            compare_rivals(s, model, exact, other, i * s->comparisons);
        else
            compare_with_zero(s, exact, other, i * s->comparisons);
    }
    for (size_t i = 0; i < s->images; i++)
        s->pictures[i].risk = risk_of(s, i);
}

static int by_margin(const void *a, const void *b)
{
    const struct picture *x = a, *y = b;
    return (x->margin > y->margin) - (x->margin < y->margin);
}

/* How many of the pictures, sorted by margin, must be computed again so that at most `allowed` of
 * the others differ: those counted, and those expected with their standard deviations. */
static size_t count_unsure(const struct picture *pictures, size_t images, double allowed)
{
    double differing = 0, expected = 0, variance = 0;
    size_t unsure = images;
    for (; unsure > 0; unsure--) {
        const struct picture *p = &pictures[unsure - 1];
        differing += p->differs;
        expected += p->risk;
        variance += p->risk * p->risk;
        if (fmax(differing, allowance * expected + confidence * sqrt(variance)) > allowed)
            break;
    }
    while (unsure > 0 && unsure < images && pictures[unsure].margin <= pictures[unsure - 1].margin)
        unsure++;
    return unsure;
}

static int choose(const struct picture *pictures, size_t images, double agreement,
                  struct cascade *out, struct error *err)
{
    size_t unsure = count_unsure(pictures, images, (1 - agreement) * (double)images);
    if (unsure == images)
        return error_set(err, ERR_PARAMETER,
                         "an agreement of %.6g %% would take float32 for all of the %zu pictures "
                         "held out; ask for less, or use float32",
                         100 * agreement, images);
    *out = (struct cascade){0};
    if (unsure > 0)
        *out =
            (struct cascade){pictures[unsure].margin, agreement, (double)unsure / (double)images};
    return ERR_OK;
}

size_t cascade_images_needed(double agreement)
{
    return (size_t)fmax(100, ceil(0.25 / (1 - agreement) - 1e-6));
}

static size_t comparisons_of(const struct model *model)
{
    size_t classes = (size_t)model->classes;
    if (model->activation == ACTIVATION_SIGMOID)
        return classes;
    return classes - 1 < RIVALS ? classes - 1 : RIVALS;
}

static int create(struct sample *s, const struct model *model, size_t images, struct error *err)
{
    size_t comparisons = comparisons_of(model);
    *s = (struct sample){.images = images, .comparisons = comparisons};
    s->gaps = calloc(images, (comparisons + 1) * sizeof *s->gaps);
    s->noises = calloc(images, (comparisons + 1) * sizeof *s->noises);
    s->pictures = calloc(images, sizeof *s->pictures);
    return s->gaps && s->noises && s->pictures
               ? ERR_OK
               : error_set(err, ERR_NO_MEMORY, "no memory to choose a margin");
}

static void destroy(struct sample *s)
{
    free(s->gaps);
    free(s->noises);
    free(s->pictures);
}

int cascade_choose(const struct model *model, const float *logits, size_t images, double agreement,
                   struct cascade *out, struct error *err)
{
    size_t needed = cascade_images_needed(agreement);
    if (images < needed)
        return error_set(err, ERR_PARAMETER,
                         "a promise of %.9g %% needs %zu or more pictures held out, but there are "
                         "%zu; take more pictures or a larger --holdout",
                         100 * agreement, needed, images);
    struct sample s;
    int code = create(&s, model, images, err);
    if (code == ERR_OK) {
        fill(&s, model, logits);
        qsort(s.pictures, images, sizeof *s.pictures, by_margin);
        code = choose(s.pictures, images, agreement, out, err);
    }
    destroy(&s);
    return code;
}
