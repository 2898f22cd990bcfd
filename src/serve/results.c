#include "serve/results.h"

#include <string.h>

#include "base/clock.h"

static struct scored_class scored(const struct session *s, struct prediction p)
{
    return (struct scored_class){p.class_id, p.score, s->model->labels[p.class_id]};
}

static int classify(struct session *s, const struct request *r, struct request_part *part,
                    struct error *err)
{
    int code = session_classify(s, r->top_k, err);
    for (int i = 0; code == ERR_OK && i < r->top_k; i++)
        part->predictions[i] = scored(s, s->predictions[i]);
    return code;
}

static int embed(const struct session *s, struct request *r, struct request_part *part,
                 struct error *err)
{
    size_t channels = (size_t)explain_shape(s->model->network).channels;
    int code = request_reserve_values(r, part, channels, err);
    return code == ERR_OK ? session_embed(s, r->normalized, part->values, err) : code;
}

static int draw(const struct session *s, const struct preprocess_options *options,
                struct request *r, struct request_part *part, struct error *err)
{
    int64_t begin = clock_monotonic_ns();
    int code = session_draw(s, options, part->values, part->jpeg, part->length, &part->picture,
                            &part->picture_length, err);
    r->encode_ns += clock_monotonic_ns() - begin;
    return code == ERR_OK ? request_count_results(r, part->picture_length, err) : code;
}

static int explain(struct session *s, const struct preprocess_options *options, struct request *r,
                   struct request_part *part, struct error *err)
{
    struct feature_shape shape = explain_shape(s->model->network);
    struct prediction class;
    int code = session_find_class(s, r->class_name, r->class_is_id, &class, err);
    if (code == ERR_OK)
        code = request_reserve_values(r, part, (size_t)shape.rows * (size_t)shape.cols, err);
    if (code != ERR_OK)
        return code;
    part->predictions[0] = scored(s, class);
    part->rows = shape.rows;
    part->cols = shape.cols;
    code = session_map(s, class.class_id, part->values, err);
    return code == ERR_OK && r->wants_picture ? draw(s, options, r, part, err) : code;
}

static int infer(struct session *s, struct request *r, struct request_part *part, struct error *err)
{
    size_t classes = (size_t)s->model->classes;
    int code = classify(s, r, part, err);
    if (code == ERR_OK)
        code = request_reserve_values(r, part, 2 * classes, err);
    if (code != ERR_OK)
        return code;
    memcpy(part->values, session_logits(s), classes * sizeof *part->values);
    model_scores(s->model, part->values, part->values + classes);
    return ERR_OK;
}

int results_fill(struct session *s, const struct preprocess_options *options, struct request *r,
                 struct request_part *part, struct error *err)
{
    switch (r->kind) {
    case REQUEST_CLASSIFY:
        return classify(s, r, part, err);
    case REQUEST_EMBED:
        return embed(s, r, part, err);
    case REQUEST_EXPLAIN:
        return explain(s, options, r, part, err);
    case REQUEST_INFER:
        break;
    }
    return infer(s, r, part, err);
}
