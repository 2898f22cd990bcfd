#include "tool/cascade.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tool/agreement.h"

enum {
    RIVALS = 5,       /* classes next to the best that may take its place */
    TRIED_MAX = 1000, /* pictures whose noise every picture is tried with */
};

/* Standard deviations of a bound that holds with 95 %; and a factor on the risk, as close decisions
 * were turned up to 1.5 times as often as the noise of all pictures suggests (ResNet-50, photos).
 */
static const double confidence = 1.645, allowance = 1.5;

struct picture {
    size_t image;
    double margin;
    bool differs; /* the decisions of int8 and float32 */
};

/* What int8 adds to a comparison of one picture. */
struct noise {
    float size;
    unsigned event; /* of `turned` */
};

/* A decision is a set of comparisons: of the best class with its rivals, or of each logit with 0.
 */
struct sample {
    const struct model *model;
    const float *logits;
    size_t images, comparisons, tried; /* pictures, comparisons of each, pictures tried */
    float *gaps;          /* [comparisons] of one picture: 0 or more, by how much int8 decides */
    float *added;         /* the same, less the gap in float32 */
    struct noise *noises; /* [comparisons][tried], the largest first */
    bool *turned;         /* [tried][2]: by a picture's noise, and with the other sign */
    struct picture *pictures; /* [images] */
};

static void compare_rivals(const struct sample *s, const float *exact, const float *other)
{
    struct prediction top[RIVALS + 1];
    model_top_k(s->model, other, (int)s->comparisons + 1, top);
    int best = top[0].class_id;
    for (size_t i = 0; i < s->comparisons; i++) {
        int rival = top[i + 1].class_id;
        s->gaps[i] = other[best] - other[rival];
        s->added[i] = s->gaps[i] - (exact[best] - exact[rival]);
    }
}

static void compare_with_zero(const struct sample *s, const float *exact, const float *other)
{
    for (size_t i = 0; i < s->comparisons; i++) {
        s->gaps[i] = fabsf(other[i]);
        s->added[i] = (other[i] >= 0 ? 1 : -1) * (other[i] - exact[i]);
    }
}

static const float *exact_of(const struct sample *s, size_t image)
{
    return s->logits + 2 * image * (size_t)s->model->classes;
}

static const float *other_of(const struct sample *s, size_t image)
{
    return exact_of(s, image) + s->model->classes;
}

static void compare(const struct sample *s, size_t image)
{
    if (s->model->activation == ACTIVATION_SOFTMAX)
        compare_rivals(s, exact_of(s, image), other_of(s, image));
    else
        compare_with_zero(s, exact_of(s, image), other_of(s, image));
}

static int by_size(const void *a, const void *b)
{
    const struct noise *x = a, *y = b;
    return (x->size < y->size) - (x->size > y->size);
}

/* A difference of infinite gaps is no number, and counts as 0. */
static void collect_noises(const struct sample *s)
{
    for (size_t i = 0; i < s->tried; i++) {
        compare(s, i * s->images / s->tried);
        for (size_t c = 0; c < s->comparisons; c++)
            s->noises[c * s->tried + i] =
                (struct noise){fmaxf(fabsf(s->added[c]), 0), (unsigned)(2 * i + (s->added[c] < 0))};
    }
    for (size_t c = 0; c < s->comparisons; c++)
        qsort(s->noises + c * s->tried, s->tried, sizeof *s->noises, by_size);
}

/* Looks at those noises only that turn a comparison, and one more of each. */
static double risk_of(const struct sample *s, size_t image)
{
    size_t turned = 0;
    compare(s, image);
    memset(s->turned, 0, 2 * s->tried * sizeof *s->turned);
    for (size_t c = 0; c < s->comparisons; c++) {
        const struct noise *noises = s->noises + c * s->tried;
        for (size_t i = 0; i < s->tried && noises[i].size > s->gaps[c]; i++) {
            turned += !s->turned[noises[i].event];
            s->turned[noises[i].event] = true;
        }
    }
    return (double)turned / (2 * (double)s->tried);
}

static int by_margin(const void *a, const void *b)
{
    const struct picture *x = a, *y = b;
    return (x->margin > y->margin) - (x->margin < y->margin);
}

static void sort_pictures(const struct sample *s)
{
    for (size_t i = 0; i < s->images; i++)
        s->pictures[i] = (struct picture){i, (double)model_margin(s->model, other_of(s, i)),
                                          !agreement_of(s->model, exact_of(s, i), other_of(s, i))};
    qsort(s->pictures, s->images, sizeof *s->pictures, by_margin);
}

/* How many of the pictures, sorted by margin, must be computed again so that at most `allowed` of
 * the others differ: those counted, and those expected with their standard deviations. */
static size_t count_unsure(const struct sample *s, double allowed)
{
    const struct picture *pictures = s->pictures;
    double differing = 0, expected = 0, variance = 0;
    size_t unsure = s->images;
    for (; unsure > 0; unsure--) {
        const struct picture *p = &pictures[unsure - 1];
        double risk = risk_of(s, p->image);
        differing += p->differs;
        expected += risk;
        variance += risk * risk;
        if (fmax(differing, allowance * expected + confidence * sqrt(variance)) > allowed)
            break;
    }
    while (unsure > 0 && unsure < s->images &&
           pictures[unsure].margin <= pictures[unsure - 1].margin)
        unsure++;
    return unsure;
}

static int choose(const struct sample *s, double agreement, struct cascade *out, struct error *err)
{
    size_t unsure = count_unsure(s, (1 - agreement) * (double)s->images);
    if (unsure == s->images)
        return error_set(err, ERR_PARAMETER,
                         "an agreement of %.9g %% would take float32 for all of the %zu pictures "
                         "held out; ask for less, or use float32",
                         100 * agreement, s->images);
    *out = (struct cascade){0};
    if (unsure == 0)
        return ERR_OK;
    *out =
        (struct cascade){s->pictures[unsure].margin, agreement, (double)unsure / (double)s->images};
    return calibration_cascade_is_sane(out)
               ? ERR_OK
               : error_set(
                     err, ERR_MODEL_UNSUPPORTED,
                     "it takes a margin of %g between logits, and a calibration can have none "
                     "so small or so large; use float32",
                     out->margin);
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

static int create(struct sample *s, const struct model *model, const float *logits, size_t images,
                  struct error *err)
{
    size_t comparisons = comparisons_of(model), tried = images < TRIED_MAX ? images : TRIED_MAX;
    *s = (struct sample){model, logits, images, comparisons, tried, NULL, NULL, NULL, NULL, NULL};
    s->gaps = calloc(2 * comparisons + 1, sizeof *s->gaps);
    s->added = s->gaps ? s->gaps + comparisons : NULL;
    s->noises = calloc(comparisons + 1, tried * sizeof *s->noises);
    s->turned = calloc(tried, 2 * sizeof *s->turned);
    s->pictures = calloc(images, sizeof *s->pictures);
    return s->gaps && s->noises && s->turned && s->pictures
               ? ERR_OK
               : error_set(err, ERR_NO_MEMORY, "no memory to choose a margin");
}

static void destroy(struct sample *s)
{
    free(s->gaps);
    free(s->noises);
    free(s->turned);
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
    int code = create(&s, model, logits, images, err);
    if (code == ERR_OK) {
        collect_noises(&s);
        sort_pictures(&s);
        code = choose(&s, agreement, out, err);
    }
    destroy(&s);
    return code;
}
