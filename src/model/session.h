/* Runs a picture through a model: decode, resize and crop, put, forward, and the results. The
 * daemon and the tool use the same steps, and can time each of them.
 *
 * Sessions own the memory with which one thread runs models. All of it is allocated before the
 * first picture, except the memory that the preprocessor needs for larger pictures. One thread at a
 * time. */
#ifndef RESNEXT_MODEL_SESSION_H
#define RESNEXT_MODEL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"
#include "nn/explain.h"
#include "nn/shared_pass.h"

struct session {
    const struct model *model;
    struct workspace *workspace;
    struct workspace *exact; /* of model->exact; NULL without one */
    bool has_tensor;         /* it is `tensor` that was put, not `rgb` */
    bool recomputed;         /* the last pass went on in float32: its results are of model->exact */
    /* All sessions of a thread share the following. */
    struct preprocessor *preprocessor;
    uint8_t *rgb;                   /* [size][size][3] */
    float *tensor;                  /* [size][size][3], normalised pixels */
    struct prediction *predictions; /* [classes] */
};

/* Makes one session for each model, with workspaces for `max_images` images. The models must
 * outlive them. ERR_NO_MEMORY. `*out` [count] belongs to the caller. */
int sessions_create(struct session **out, const struct model *const *models, size_t count,
                    int max_images, struct error *err);
void sessions_destroy(struct session *sessions, size_t count);

/* Calculates the bytes of such sessions for one image, without the memory that the preprocessor
 * allocates later. False if they do not fit in a size_t. */
bool sessions_bytes(const struct model *const *models, size_t count, size_t *bytes);

/* Decodes a JPEG to session->rgb. The report and the errors of preprocessor_run. */
int session_decode(struct session *session, const struct preprocess_options *options,
                   const uint8_t *jpeg, size_t length, struct preprocess_report *report,
                   struct error *err);

/* session_put_rgb puts session->rgb into the batch as picture number `image`. session_put_tensor
 * puts session->tensor as the only picture. The errors of model_put_tensor. */
void session_put_rgb(struct session *session, int image);
int session_put_tensor(struct session *session, struct error *err);

/* Runs the network on the picture that was put as number 0: with network_forward_helped and its
 * `terms`, or without helpers if `pass` is NULL. With a cascade, a picture that it decides by less
 * than the margin is then run in float32, from what session->rgb or session->tensor still holds;
 * helpers need session_workspace. Returns the logits, [classes], which stay valid until the next
 * pass; NULL if terms->go_on returned false. */
const float *session_forward(struct session *session, struct shared_pass *pass,
                             const struct pass_terms *terms);

/* The session's workspace for one of its model's networks. */
struct workspace *session_workspace(const struct session *session, const struct network *network);

/* Runs a gray picture through each network, so that the first real one finds warm pages and caches.
 * Returns the logits of model->network. */
const float *session_warm_up(struct session *session);

/* The functions below work on one image after its pass. Each that returns a code may return
 * ERR_NOT_FINITE. */

/* The logits, [classes]. */
const float *session_logits(const struct session *session);

/* Sets session->predictions[0..k), as model_top_k does. */
int session_classify(struct session *session, int k, struct error *err);

/* Finds the class `name` and its score. `name` is an id if `is_id`; otherwise it is as for
 * model_find_class. If `name` is NULL, finds the class with the highest score. ERR_PARAMETER. */
int session_find_class(struct session *session, const char *name, bool is_id,
                       struct prediction *out, struct error *err);

/* The features, float32 [explain_shape's channels], scaled to length 1 if `normalized`. */
int session_embed(const struct session *session, bool normalized, float *out, struct error *err);

/* session_map writes a class's activation map, float32 [rows][cols] of explain_shape. session_draw
 * draws the map over the decoded JPEG; `*picture` belongs to the caller (free). The errors of
 * overlay_draw. */
int session_map(const struct session *session, int class_id, float *map, struct error *err);
int session_draw(const struct session *session, const struct preprocess_options *options,
                 const float *map, const uint8_t *jpeg, size_t length, uint8_t **picture,
                 size_t *picture_length, struct error *err);

#endif
