#include "model/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "image/overlay.h"

/* The sizes of what the sessions of a thread share: the largest input and the largest number of
 * classes. */
static void find_largest(const struct model *const *models, size_t count, size_t *numbers,
                         size_t *classes)
{
    *numbers = *classes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = model_input_numbers(models[i]), c = (size_t)models[i]->classes;
        *numbers = n > *numbers ? n : *numbers;
        *classes = c > *classes ? c : *classes;
    }
}

/* Adds the bytes of a workspace; a network of NULL has none. */
static bool add_workspace(const struct network *network, size_t *bytes)
{
    size_t more = 0;
    return !network ||
           (network_workspace_bytes(network, 1, &more) && size_add(*bytes, more, bytes));
}

bool sessions_bytes(const struct model *const *models, size_t count, size_t *bytes)
{
    const struct session *s = NULL;
    size_t numbers, classes;
    find_largest(models, count, &numbers, &classes);
    *bytes = numbers * (sizeof *s->rgb + sizeof *s->tensor) + classes * sizeof *s->predictions;
    for (size_t i = 0; i < count; i++)
        if (!add_workspace(models[i]->network, bytes) || !add_workspace(models[i]->exact, bytes))
            return false;
    return true;
}

static int create_shared(struct session *s, const struct model *const *models, size_t count,
                         struct error *err)
{
    size_t numbers, classes;
    find_largest(models, count, &numbers, &classes);
    s->rgb = malloc(numbers * sizeof *s->rgb);
    s->tensor = calloc(numbers, sizeof *s->tensor);
    s->predictions = calloc(classes, sizeof *s->predictions);
    if (!s->rgb || !s->tensor || !s->predictions)
        return error_set(err, ERR_NO_MEMORY, "no memory for a picture");
    return preprocessor_create(&s->preprocessor, err);
}

int sessions_create(struct session **out, const struct model *const *models, size_t count,
                    int max_images, struct error *err)
{
    struct session *sessions = calloc(count, sizeof *sessions);
    if (!sessions)
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu models", count);
    int code = create_shared(sessions, models, count, err);
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        struct session *s = &sessions[i];
        *s = sessions[0];
        s->model = models[i];
        s->workspace = s->exact = NULL;
        code = workspace_create(&s->workspace, s->model->network, max_images, err);
        if (code == ERR_OK && s->model->exact)
            code = workspace_create(&s->exact, s->model->exact, 1, err);
    }
    if (code == ERR_OK)
        *out = sessions;
    else
        sessions_destroy(sessions, count);
    return code;
}

void sessions_destroy(struct session *sessions, size_t count)
{
    if (!sessions)
        return;
    for (size_t i = 0; i < count; i++) {
        workspace_destroy(sessions[i].workspace);
        workspace_destroy(sessions[i].exact);
    }
    preprocessor_destroy(sessions->preprocessor);
    free(sessions->rgb);
    free(sessions->tensor);
    free(sessions->predictions);
    free(sessions);
}

int session_decode(struct session *s, const struct preprocess_options *options, const uint8_t *jpeg,
                   size_t length, struct preprocess_report *report, struct error *err)
{
    return preprocessor_run(s->preprocessor, &s->model->preprocess, options, jpeg, length, s->rgb,
                            report, err);
}

void session_put_rgb(struct session *s, int image)
{
    s->has_tensor = false;
    model_put_image(s->model, s->workspace, image, s->rgb);
}

int session_put_tensor(struct session *s, struct error *err)
{
    s->has_tensor = true;
    return model_put_tensor(s->model, s->workspace, 0, s->tensor, err);
}

static const float *forward(const struct session *s, const struct network *network,
                            struct shared_pass *pass, const struct pass_terms *terms)
{
    struct workspace *workspace = session_workspace(s, network);
    return pass ? network_forward_helped(network, workspace, 1, pass, terms)
                : network_forward(network, workspace, 1);
}

/* Puts the picture again, into the float32 network. */
static void put_exact(const struct session *s)
{
    size_t count = model_input_numbers(s->model);
    float *to = workspace_input(s->exact);
    if (s->has_tensor)
        memcpy(to, s->tensor, count * sizeof *to);
    else
        preprocess_normalize(&s->model->preprocess, s->rgb, count / 3, to);
}

/* Logits that are not finite may pass for either: whoever reads them finds out. */
static bool is_sure(const struct model *model, const float *logits)
{
    return (double)model_margin(model, logits) >= model->cascade.margin;
}

const float *session_forward(struct session *s, struct shared_pass *pass,
                             const struct pass_terms *terms)
{
    const struct model *model = s->model;
    s->recomputed = false;
    const float *logits = forward(s, model->network, pass, terms);
    if (!logits || !model->exact || is_sure(model, logits))
        return logits;
    put_exact(s);
    s->recomputed = true;
    return forward(s, model->exact, pass, terms);
}

struct workspace *session_workspace(const struct session *s, const struct network *network)
{
    return network == s->model->exact ? s->exact : s->workspace;
}

/* The network that the results are of, which computed last. */
static const struct network *answering(const struct session *s)
{
    return s->recomputed ? s->model->exact : s->model->network;
}

const float *session_logits(const struct session *s)
{
    return network_result(answering(s), session_workspace(s, answering(s)));
}

const float *session_warm_up(struct session *s)
{
    memset(s->rgb, 128, model_input_numbers(s->model));
    session_put_rgb(s, 0);
    s->recomputed = false;
    if (s->exact) {
        put_exact(s);
        forward(s, s->model->exact, NULL, NULL);
    }
    return forward(s, s->model->network, NULL, NULL);
}

int session_classify(struct session *s, int k, struct error *err)
{
    const float *logits = session_logits(s);
    int code = model_check_logits(s->model, logits, err);
    if (code == ERR_OK)
        model_top_k(s->model, logits, k, s->predictions);
    return code;
}

int session_find_class(struct session *s, const char *name, bool is_id, struct prediction *out,
                       struct error *err)
{
    int code = session_classify(s, 1, err);
    if (code != ERR_OK)
        return code;
    *out = s->predictions[0];
    if (!name)
        return ERR_OK;
    code = is_id ? model_find_class_id(s->model, name, &out->class_id, err)
                 : model_find_class(s->model, name, &out->class_id, err);
    if (code != ERR_OK)
        return code;
    const float *logits = session_logits(s);
    const struct score_scale scale = score_scale(s->model->activation, logits, s->model->classes);
    out->score = score_of(&scale, logits[out->class_id]);
    return ERR_OK;
}

int session_embed(const struct session *s, bool normalized, float *out, struct error *err)
{
    const struct network *network = answering(s);
    int code = explain_embedding(network, session_workspace(s, network), 0, out, err);
    if (code == ERR_OK && normalized)
        explain_normalize(out, (size_t)explain_shape(network).channels);
    return code;
}

int session_map(const struct session *s, int class_id, float *map, struct error *err)
{
    const struct network *network = answering(s);
    return explain_class(network, session_workspace(s, network), 0, class_id, map, err);
}

int session_draw(const struct session *s, const struct preprocess_options *options,
                 const float *map, const uint8_t *jpeg, size_t length, uint8_t **picture,
                 size_t *picture_length, struct error *err)
{
    struct feature_shape shape = explain_shape(s->model->network);
    const struct overlay_grid grid = {shape.rows, shape.cols, map};
    return overlay_draw(&s->model->preprocess, options, &grid, jpeg, length, picture,
                        picture_length, err);
}
