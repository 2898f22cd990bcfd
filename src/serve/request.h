/* A request for the network: some pictures, a model, what to make of them, and the results.
 *
 * THE STATES OF A REQUEST, and who may touch it
 *
 *   NEW        made by request_create; only its maker touches it
 *   QUEUED     in the queue (server_submit); its links are the queue's
 *   RUNNING    a worker writes started_ns and the results in parts[]; with a codec, also the
 *              answer, and perhaps the parts themselves
 *   FINISHED   nothing is written any more, except by a worker that has not noticed yet
 *
 * From QUEUED or RUNNING, or even before, whoever finishes its completion makes it FINISHED: the
 * worker (outcome ERR_OK: the results are there), the queue that refuses it (ERR_OVERLOADED,
 * ERR_DRAINING), or the monitor (ERR_DEADLINE, ERR_CLIENT_GONE).
 *
 * Only with outcome ERR_OK may started_ns and the results be read: with every other outcome a
 * worker may still be writing them. Such a worker sees the outcome within milliseconds, between
 * rows of a picture, tiles of a layer or numbers of an answer, and lets go.
 *
 * A request lives until its last reference is gone: one is the maker's, one the queue's, which
 * passes on to the worker. The upload that the JPEGs lie in belongs to the request and goes with
 * it, or when the worker has made the answer. */
#ifndef RESNEXT_SERVE_REQUEST_H
#define RESNEXT_SERVE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"
#include "serve/answer.h"
#include "serve/completion.h"

/* The greatest number of predictions of one request, parts x top_k: it bounds the answer. */
enum { REQUEST_PREDICTIONS_MAX = 1 << 17 };

struct generation;

/* The results of each part. */
enum request_kind {
    REQUEST_CLASSIFY, /* predictions */
    REQUEST_EMBED,    /* values [channels]: the pooled features */
    REQUEST_EXPLAIN, /* predictions[0], the class; values [rows][cols]; a picture if it is wanted */
    REQUEST_INFER,   /* predictions; values [2][classes]: logits and scores, all finite */
};

struct scored_class {
    int class_id;
    float score;       /* 0 to 1, as the model's activation makes it */
    const char *label; /* UTF-8, the model's */
};

/* One picture. In: `jpeg`, a slice of the request's upload; NULL: the codec has the numbers of the
 * network's input. Out: an error, or the results of this kind of request. */
struct request_part {
    const uint8_t *jpeg;
    size_t length;
    struct error error; /* code ERR_OK: the results are there */
    int width, height;  /* of the JPEG; 0 if it could not even be read that far */
    int64_t decode_ns, preprocess_ns, inference_ns;
    struct scored_class *predictions; /* [top_k], best first */
    float *values;                    /* [value_count], the request's */
    size_t value_count;
    int rows, cols;   /* of a map */
    uint8_t *picture; /* a JPEG, the request's */
    size_t picture_length;
};

struct request;

/* The functions of a protocol that read and write in the worker, so that large bodies and answers
 * do not hold up the HTTP threads. They run in this order. */
struct request_codec {
    /* Makes the parts from the upload, with request_set_parts. An error is the request's failure,
     * and nothing is computed. NULL: the parts exist already. */
    int (*decode)(struct request *request, struct error *err);
    /* Writes the network's input, float32 [size][size][3], for a part without a JPEG. Called in the
     * order of the parts. NULL: every part has a JPEG. */
    int (*read_tensor)(struct request *request, size_t part, float *input, struct error *err);
    /* Writes request->answer from the results, between answer_begin and answer_end. With
     * all_or_none every part has results. An error is the request's failure. */
    int (*encode)(struct request *request, struct error *err);
    void (*release)(struct request *request);
    bool all_or_none; /* the first part that fails is the request's failure */
};

struct request {
    struct completion completion;
    struct generation *generation; /* a reference */
    size_t model;                  /* index into the generation's models */
    enum request_kind kind;
    int top_k;
    bool normalized;    /* REQUEST_EMBED: to length 1 */
    bool wants_picture; /* REQUEST_EXPLAIN: the overlay */
    char *class_name;   /* REQUEST_EXPLAIN: id or label, the request's; NULL: the top one */
    bool class_is_id;   /* REQUEST_EXPLAIN: class_name is no label */
    const struct request_codec *codec; /* NULL: the parts are there, whoever waits reads them */
    void *codec_state;
    struct bodies *bodies; /* for upload, results and answer */
    struct request_part *parts;
    size_t part_count;

    int64_t expected_ns;  /* how long a worker will likely take, see admission.h */
    int64_t queued_ns;    /* when it was submitted; 0: it was not, or refused */
    int64_t started_ns;   /* when a worker took it */
    int64_t encode_ns;    /* the worker's part of making the answer */
    struct error failure; /* of the codec or the first part that failed; then no answer */
    struct answer answer; /* with a codec */

    uint8_t *upload;
    size_t upload_size, results_size; /* how much of `bodies` they take */
    struct scored_class *predictions;
    TAILQ_ENTRY(request) place; /* the queue's */
    bool queued;                /* the queue's */
};

/* A request with one reference, its maker's, and a reference of its own to `generation`. Takes over
 * `upload` (from malloc) if it succeeds. The maker then sets parts[].jpeg and length, the
 * completion, `bodies` and upload_size, and the fields of its kind. part_count is 0 if a codec
 * makes the parts. The errors of request_set_parts. */
int request_create(struct request **out, struct generation *generation, size_t model, int top_k,
                   size_t part_count, uint8_t *upload, struct error *err);

/* Replaces the parts; the new ones have no results. ERR_PARAMETER above REQUEST_PREDICTIONS_MAX,
 * ERR_NO_MEMORY: the request has no parts then. */
int request_set_parts(struct request *request, size_t part_count, int top_k, struct error *err);

/* Reserve zeroed memory for results, of all parts or of one part. It counts in `bodies` like an
 * answer, and request_shed frees it. The worker. ERR_OVERLOADED, ERR_NO_MEMORY. */
int request_reserve_predictions(struct request *request, struct error *err);
int request_reserve_values(struct request *request, struct request_part *part, size_t count,
                           struct error *err);

/* Counts results that are in memory already. ERR_OVERLOADED: there is no space, and they do not
 * count. */
int request_count_results(struct request *request, size_t bytes, struct error *err);

/* Frees the upload and the results, which only the making of the answer needed. Errors and times of
 * the parts stay. The worker, before it finishes the request. */
void request_shed(struct request *request);

/* Gives up a reference. NULL is fine. */
void request_release(struct request *request);

/* The time of each stage, summed over all parts. */
struct request_times {
    int64_t queue_ns, decode_ns, preprocess_ns, inference_ns;
};
struct request_times request_times(const struct request *request);

#endif
