/* A request to the network: some pictures, a model, the kind of results, and the results.
 *
 * THE STATES OF A REQUEST, and who may touch it
 *
 *   NEW        made by request_create; only its maker touches it
 *   QUEUED     in the queue (server_submit); its links are the queue's
 *   RUNNING    a worker writes started_ns and the results in parts[]; with a codec, also the
 *              answer, and perhaps the parts themselves
 *   FINISHED   nobody writes any more, except a worker that has not yet seen the outcome
 *
 * A request becomes FINISHED, from any earlier state, when its completion is finished. The worker
 * does this (outcome ERR_OK: the results are complete), or the queue when it refuses the request
 * (ERR_OVERLOADED, ERR_DRAINING), or the monitor (ERR_DEADLINE, ERR_CLIENT_GONE).
 *
 * started_ns and the results may be read only if the outcome is ERR_OK. With any other outcome, a
 * worker may still be writing them. Such a worker sees the outcome within milliseconds, because it
 * checks between rows of a picture, tiles of a layer and numbers of an answer; it then gives up the
 * request.
 *
 * A request is freed with its last reference. The maker has one reference. The queue has another,
 * which it passes to the worker. The upload contains the JPEGs and belongs to the request. It is
 * freed with the request, or before, when the worker has made the answer. */
#ifndef RESNEXT_SERVE_REQUEST_H
#define RESNEXT_SERVE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"
#include "serve/answer.h"
#include "serve/completion.h"

/* The maximum number of predictions of one request, parts x top_k. It bounds the answer's size. */
enum { REQUEST_PREDICTIONS_MAX = 1 << 17 };

struct generation;

/* The results of each part. */
enum request_kind {
    REQUEST_CLASSIFY, /* predictions */
    REQUEST_EMBED,    /* values [channels]: the pooled features */
    REQUEST_EXPLAIN,  /* predictions[0], the class; values [rows][cols]; a picture if requested */
    REQUEST_INFER,    /* predictions; values [2][classes]: logits and scores, all finite */
};

struct scored_class {
    int class_id;
    float score;       /* 0 to 1, from the model's activation */
    const char *label; /* UTF-8, owned by the model */
};

/* One picture. Input: `jpeg`, a slice of the request's upload; NULL: the codec has the numbers of
 * the network's input. Output: an error, or the results of this kind of request. */
struct request_part {
    const uint8_t *jpeg;
    size_t length;
    struct error error; /* code ERR_OK: the results are complete */
    int width, height;  /* of the JPEG; 0 if its header could not be read */
    int64_t decode_ns, preprocess_ns, inference_ns;
    struct scored_class *predictions; /* [top_k], best first */
    float *values;                    /* [value_count], owned by the request */
    size_t value_count;
    int rows, cols;   /* of a map */
    uint8_t *picture; /* a JPEG, owned by the request */
    size_t picture_length;
};

struct request;

/* The functions of a protocol that read bodies and write answers. The worker calls them, in this
 * order, so that large bodies and answers do not delay the HTTP threads. */
struct request_codec {
    /* Makes the parts from the upload, with request_set_parts. An error makes the request fail, and
     * nothing is computed. NULL: the parts exist already. */
    int (*decode)(struct request *request, struct error *err);
    /* Writes the network's input, float32 [size][size][3], for a part without a JPEG. Called in the
     * order of the parts. NULL: every part has a JPEG. */
    int (*read_tensor)(struct request *request, size_t part, float *input, struct error *err);
    /* Writes request->answer from the results, between answer_begin and answer_end. With
     * all_or_none, every part has results. An error makes the request fail. */
    int (*encode)(struct request *request, struct error *err);
    void (*release)(struct request *request);
    bool all_or_none; /* the first part that fails makes the request fail */
};

struct request {
    struct completion completion;
    struct generation *generation; /* a reference */
    size_t model;                  /* index into the generation's models */
    enum request_kind kind;
    int top_k;
    bool normalized;    /* REQUEST_EMBED: scale to length 1 */
    bool wants_picture; /* REQUEST_EXPLAIN: make the overlay */
    char *class_name;   /* REQUEST_EXPLAIN: id or label, owned; NULL: the most probable class */
    bool class_is_id;   /* REQUEST_EXPLAIN: class_name is an id, not a label */
    const struct request_codec *codec; /* NULL: the parts exist, and the waiter reads the results */
    void *codec_state;
    bool stops_at_failure; /* after a part that fails, the others are not computed */
    struct bodies *bodies; /* for upload, results and answer */
    struct request_part *parts;
    size_t part_count;
    size_t expected_pictures; /* that the codec will find, as far as is known; 0: one */

    int64_t expected_ns;  /* expected time in a worker, see admission.h */
    int64_t queued_ns;    /* when it was submitted; 0: not submitted, or refused */
    int64_t started_ns;   /* when a worker took it */
    int64_t encode_ns;    /* time that the worker spent on the answer */
    struct error failure; /* of the codec or the first part that failed; no answer then */
    struct answer answer; /* with a codec */

    uint8_t *upload;
    size_t upload_size, results_size; /* bytes counted in `bodies` */
    struct scored_class *predictions;
    TAILQ_ENTRY(request) place; /* for the queue only */
    bool queued;                /* for the queue only */
};

/* Makes a request with one reference, which belongs to the caller. The request takes a reference to
 * `generation`, and if this succeeds it owns `upload` (from malloc). The caller then sets
 * parts[].jpeg and length, the completion, `bodies` and upload_size, and the fields of the kind.
 * part_count is 0 if a codec makes the parts. The errors of request_set_parts. */
int request_create(struct request **out, struct generation *generation, size_t model, int top_k,
                   size_t part_count, uint8_t *upload, struct error *err);

/* Replaces the parts; the new parts have no results. ERR_PARAMETER above REQUEST_PREDICTIONS_MAX;
 * ERR_NO_MEMORY. After an error the request has no parts. */
int request_set_parts(struct request *request, size_t part_count, int top_k, struct error *err);

/* Reserve zeroed memory for results: for predictions of all parts, or for values of one part. It
 * counts in `bodies` like an answer, and request_shed frees it. Worker only. ERR_OVERLOADED,
 * ERR_NO_MEMORY. */
int request_reserve_predictions(struct request *request, struct error *err);
int request_reserve_values(struct request *request, struct request_part *part, size_t count,
                           struct error *err);

/* Counts results that are already in memory. ERR_OVERLOADED if there is no space; they are not
 * counted then. */
int request_count_results(struct request *request, size_t bytes, struct error *err);

/* Frees the upload and the results, which are not needed once the answer is made. Errors and times
 * of the parts stay. The worker calls this before it finishes the request. */
void request_shed(struct request *request);

/* Gives up a reference. NULL is fine. */
void request_release(struct request *request);

/* The time of each stage, summed over all parts. */
struct request_times {
    int64_t queue_ns, decode_ns, preprocess_ns, inference_ns;
};
struct request_times request_times(const struct request *request);

#endif
