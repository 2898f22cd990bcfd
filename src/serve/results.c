#include "serve/results.h"

#include <string.h>

#include "base/clock.h"
#include "image/overlay.h"
#include "nn/explain.h"

static struct scored_class scored(const struct model *model, struct prediction p)
{
    return (struct scored_class){p.class_id, p.score, model->labels[p.class_id]};
}

static int best_classes(const struct forward *f, const struct request *r, struct request_part *part,
                        struct error *err)
{
    int code = model_check_logits(f->model, f->logits, err);
    if (code != ERR_OK)
        return code;
    model_top_k(f->model, f->logits, r->top_k, f->scratch);
    for (int i = 0; i < r->top_k; i++)
        part->predictions[i] = scored(f->model, f->scratch[i]);
    return ERR_OK;
}

static int embed(const struct forward *f, struct request *r, struct request_part *part,
                 struct error *err)
{
    size_t channels = (size_t)explain_shape(f->model->network).channels;
    int code = request_reserve_values(r, part, channels, err);
    if (code != ERR_OK)
        return code;
    code = explain_embedding(f->model->network, f->workspace, 0, part->values, err);
    if (code == ERR_OK && r->normalized)
        explain_normalize(part->values, channels);
    return code;
}

static int draw(const struct forward *f, struct request *r, struct request_part *part,
                struct error *err)
{
    int64_t begin = clock_monotonic_ns();
    const struct overlay_grid grid = {part->rows, part->cols, part->values};
    int code = overlay_draw(&f->model->preprocess, f->options, &grid, part->jpeg, part->length,
                            &part->picture, &part->picture_length, err);
    r->encode_ns += clock_monotonic_ns() - begin;
    return code == ERR_OK ? request_count_results(r, part->picture_length, err) : code;
}

/* The class that was asked for, or the one with the highest score. */
static int choose_class(const struct forward *f, const struct request *r, struct request_part *part,
                        struct error *err)
{
    int class_id, code = best_classes(f, r, part, err);
    if (code != ERR_OK || !r->class_name)
        return code;
    code = r->class_is_id ? model_find_class_id(f->model, r->class_name, &class_id, err)
                          : model_find_class(f->model, r->class_name, &class_id, err);
    if (code != ERR_OK)
        return code;
    const struct score_scale scale =
        score_scale(f->model->activation, f->logits, f->model->classes);
    float score = score_of(&scale, f->logits[class_id]);
    part->predictions[0] = scored(f->model, (struct prediction){class_id, score});
    return ERR_OK;
}

static int explain(const struct forward *f, struct request *r, struct request_part *part,
                   struct error *err)
{
    struct feature_shape shape = explain_shape(f->model->network);
    int code = choose_class(f, r, part, err);
    if (code == ERR_OK)
        code = request_reserve_values(r, part, (size_t)shape.rows * (size_t)shape.cols, err);
    if (code != ERR_OK)
        return code;
    part->rows = shape.rows;
    part->cols = shape.cols;
    code = explain_class(f->model->network, f->workspace, 0, part->predictions[0].class_id,
                         part->values, err);
    return code == ERR_OK && r->wants_picture ? draw(f, r, part, err) : code;
}

static int infer(const struct forward *f, struct request *r, struct request_part *part,
                 struct error *err)
{
    size_t classes = (size_t)f->model->classes;
    int code = best_classes(f, r, part, err);
    if (code == ERR_OK)
        code = request_reserve_values(r, part, 2 * classes, err);
    if (code != ERR_OK)
        return code;
    memcpy(part->values, f->logits, classes * sizeof *part->values);
    model_scores(f->model, f->logits, part->values + classes);
    return ERR_OK;
}

int results_fill(const struct forward *f, struct request *r, struct request_part *part,
                 struct error *err)
{
    switch (r->kind) {
    case REQUEST_CLASSIFY:
        return best_classes(f, r, part, err);
    case REQUEST_EMBED:
        return embed(f, r, part, err);
    case REQUEST_EXPLAIN:
        return explain(f, r, part, err);
    case REQUEST_INFER:
        break;
    }
    return infer(f, r, part, err);
}
