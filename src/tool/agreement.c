/* An engine result holds, for one picture: the logits of `exact`, the logits of `other`, and for
 * each layer the energies of the output of `exact` and of the difference. Results are summed in the
 * order of the files, so the sums do not depend on the threads. */
#include "tool/agreement.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A thread's memory, besides the engine's session. */
struct side {
    struct workspace *workspace; /* of `other` */
    float *exact, *other;        /* one layer's output of each network */
};

struct comparison {
    const struct model *exact, *other;
    size_t layers, classes;
    struct side *sides; /* one a thread */
    float *logits;      /* [files][2][classes] of those that did not fail */
    size_t images;
    double *energies; /* [layers][2]: of the output of `exact` and of the difference */
};

/* Sets energies[0] to the energy of value v, energies[1] to the energy of the difference. */
static void compare_value(const struct comparison *c, const struct side *side,
                          const struct workspace *workspace, int v, float *energies)
{
    size_t count = network_value_size(c->exact->network, v);
    double exact = 0, difference = 0;
    network_read_value(c->exact->network, workspace, v, 0, count, side->exact);
    network_read_value(c->other->network, side->workspace, v, 0, count, side->other);
    for (size_t i = 0; i < count; i++) {
        double d = (double)side->exact[i] - side->other[i];
        exact += (double)side->exact[i] * side->exact[i];
        difference += d * d;
    }
    energies[0] = (float)exact;
    energies[1] = (float)difference;
}

static int compare(void *context, int thread, struct session *session, float *result,
                   struct error *err)
{
    const struct comparison *c = context;
    const struct side *side = &c->sides[thread];
    float *energies = result + 2 * c->classes;
    model_put_image(c->other, side->workspace, 0, session->rgb);
    for (size_t i = 0; i < c->layers; i++) {
        network_run_layer(c->exact->network, session->workspace, i, 1);
        network_run_layer(c->other->network, side->workspace, i, 1);
        energies[2 * i] = energies[2 * i + 1] = 0;
        if (network_has_value(c->other->network, (int)i + 1))
            compare_value(c, side, session->workspace, (int)i + 1, &energies[2 * i]);
    }
    memcpy(result, side->exact, c->classes * sizeof *result);
    memcpy(result + c->classes, side->other, c->classes * sizeof *result);
    int code = model_check_logits(c->exact, result, err);
    return code == ERR_OK ? model_check_logits(c->other, result + c->classes, err) : code;
}

static bool take(void *context, const struct engine_result *result)
{
    struct comparison *c = context;
    if (!result->logits)
        return true;
    size_t both = 2 * c->classes;
    memcpy(c->logits + c->images++ * both, result->logits, both * sizeof *c->logits);
    for (size_t i = 0; i < 2 * c->layers; i++)
        c->energies[i] += result->logits[both + i];
    return true;
}

static size_t largest_value(const struct network *network)
{
    size_t max = 0;
    for (size_t v = 0; v <= network_layer_count(network); v++) {
        size_t size = network_value_size(network, (int)v);
        max = size > max ? size : max;
    }
    return max;
}

static int create(struct comparison *c, size_t files, size_t threads, struct error *err)
{
    size_t max = largest_value(c->exact->network);
    c->sides = calloc(threads, sizeof *c->sides);
    c->logits = calloc(files, 2 * c->classes * sizeof *c->logits);
    c->energies = calloc(c->layers, 2 * sizeof *c->energies);
    bool complete = c->sides && c->logits && c->energies;
    int code = ERR_OK;
    for (size_t i = 0; complete && code == ERR_OK && i < threads; i++) {
        c->sides[i].exact = calloc(max, sizeof(float));
        c->sides[i].other = calloc(max, sizeof(float));
        complete = c->sides[i].exact && c->sides[i].other;
        code = workspace_create(&c->sides[i].workspace, c->other->network, 1, err);
    }
    return complete ? code : error_set(err, ERR_NO_MEMORY, "no memory to compare networks");
}

static void destroy(struct comparison *c, size_t threads)
{
    for (size_t i = 0; c->sides && i < threads; i++) {
        workspace_destroy(c->sides[i].workspace);
        free(c->sides[i].exact);
        free(c->sides[i].other);
    }
    free(c->sides);
    free(c->logits);
    free(c->energies);
}

bool agreement_of(const struct model *model, const float *a, const float *b)
{
    struct prediction best, other;
    if (model->activation == ACTIVATION_SOFTMAX) {
        model_top_k(model, a, 1, &best);
        model_top_k(model, b, 1, &other);
        return best.class_id == other.class_id;
    }
    for (int i = 0; i < model->classes; i++)
        if ((a[i] >= 0) != (b[i] >= 0))
            return false;
    return true;
}

/* The cosine of two vectors, each less `mean`. It is 1 if both are then zero. */
static double cosine(const float *a, const float *b, const double *mean, size_t count)
{
    double aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < count; i++) {
        double x = a[i] - mean[i], y = b[i] - mean[i];
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : aa == bb;
}

static int compare_logits(const struct comparison *c, struct agreement *out, struct error *err)
{
    double *mean = calloc(c->classes, sizeof *mean);
    if (!mean)
        return error_set(err, ERR_NO_MEMORY, "no memory to compare logits");
    for (size_t n = 0; n < c->images; n++)
        for (size_t i = 0; i < c->classes; i++)
            mean[i] += (double)c->logits[2 * n * c->classes + i] / (double)c->images;
    /* A single picture would equal its mean. */
    if (c->images == 1)
        memset(mean, 0, c->classes * sizeof *mean);
    out->images = c->images;
    out->min_cosine = 1;
    for (size_t n = 0; n < c->images; n++) {
        const float *a = c->logits + 2 * n * c->classes, *b = a + c->classes;
        double angle = cosine(a, b, mean, c->classes);
        out->decisions += agreement_of(c->exact, a, b);
        out->cosine += angle;
        out->min_cosine = fmin(out->min_cosine, angle);
    }
    out->decisions /= (double)c->images;
    out->cosine /= (double)c->images;
    free(mean);
    return ERR_OK;
}

static int summarise(struct comparison *c, struct agreement *out, struct error *err)
{
    *out = (struct agreement){.decibels = calloc(c->layers, sizeof *out->decibels)};
    if (!out->decibels)
        return error_set(err, ERR_NO_MEMORY, "no memory for a report");
    for (size_t i = 0; i < c->layers; i++)
        out->decibels[i] =
            network_has_value(c->other->network, (int)i + 1)
                ? 10 * log10((c->energies[2 * i] + 1e-30) / (c->energies[2 * i + 1] + 1e-30))
                : (double)NAN;
    int code = c->images ? compare_logits(c, out, err) : ERR_OK;
    out->logits = c->logits;
    c->logits = NULL;
    if (code != ERR_OK)
        agreement_destroy(out);
    return code;
}

int agreement_measure(struct tool *tool, const struct model *other, const struct file_list *files,
                      struct agreement *out, struct error *err)
{
    size_t threads = (size_t)tool->engine.threads;
    struct comparison c = {.exact = tool->model,
                           .other = other,
                           .layers = network_layer_count(other->network),
                           .classes = (size_t)other->classes};
    tool->engine.compute = compare;
    tool->engine.compute_context = &c;
    tool->engine.result_length = 2 * c.classes + 2 * c.layers;
    int code = create(&c, files->count, threads, err);
    if (code == ERR_OK)
        code = tool_run_files(tool, files, take, &c, err);
    if (code == ERR_OK)
        code = summarise(&c, out, err);
    destroy(&c, threads);
    return code;
}

void agreement_destroy(struct agreement *agreement)
{
    free(agreement->decibels);
    free(agreement->logits);
    *agreement = (struct agreement){0};
}
