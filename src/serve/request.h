/* A request for the network: some JPEGs, a model, and room for the answers.
 *
 * THE STATES OF A REQUEST, and who may touch it
 *
 *   NEW        made by request_create; only its maker touches it
 *   QUEUED     in the queue (server_submit); its links are the queue's
 *   RUNNING    a worker writes started_ns and the results in parts[]
 *   FINISHED   nothing is written any more, except by a worker that has not noticed yet
 *
 * From QUEUED or RUNNING, or even before, whoever wins request_finish makes it FINISHED, once and
 * for ever: the worker (outcome ERR_OK: the results are there), the queue that refuses it
 * (ERR_OVERLOADED, ERR_DRAINING), or the watch (ERR_DEADLINE, ERR_CLIENT_GONE). The winner, and
 * nobody else, calls `done`, which hands the request back to whoever waits for it.
 *
 * Only with outcome ERR_OK may started_ns and the results be read: with every other outcome a
 * worker may still be writing them. Such a worker sees the outcome at its next stage and lets go.
 *
 * A request lives until its last reference is gone: one is the maker's, one the queue's, which
 * passes on to the worker. The upload that the JPEGs lie in belongs to the request and goes with
 * it. */
#ifndef RESNEXT_SERVE_REQUEST_H
#define RESNEXT_SERVE_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The outcome of a request that is not finished. Outcomes are 0 or an (always negative) error. */
enum { REQUEST_PENDING = 1 };

struct scored_class {
    int class_id;
    float score;       /* softmax probability */
    const char *label; /* UTF-8, the model's */
};

/* One picture: in, `jpeg`, a slice of the request's upload; out, an error or the best classes. */
struct request_part {
    const uint8_t *jpeg;
    size_t length;
    struct error error; /* code ERR_OK: classified */
    int width, height;  /* of the JPEG; 0 if it could not even be read that far */
    int64_t decode_ns, preprocess_ns, inference_ns;
    struct scored_class *predictions; /* [top_k], best first */
};

struct request {
    size_t model; /* index into the server's models */
    int top_k;
    int64_t deadline_ns; /* on clock_monotonic_ns */
    struct request_part *parts;
    size_t part_count;

    int64_t queued_ns;  /* when it was submitted; 0: it was not, or refused */
    int64_t started_ns; /* when a worker took it */
    atomic_int outcome;

    void (*done)(struct request *request);
    void *waiter; /* for `done` */

    atomic_int references;
    uint8_t *upload;
    struct scored_class *predictions;
    struct request *previous, *next; /* the queue's */
    bool queued;                     /* the queue's */
};

/* A request with one reference, its maker's. Takes over `upload` (from malloc) if it succeeds; the
 * maker then fills in parts[].jpeg and length, deadline_ns, done and waiter. ERR_NO_MEMORY. */
int request_create(struct request **out, size_t model, int top_k, size_t part_count,
                   uint8_t *upload, struct error *err);

void request_reference(struct request *request);

/* Gives up a reference. NULL is fine. */
void request_release(struct request *request);

/* Sets the outcome if there is none yet, and then calls `done`. False if another was quicker. Any
 * thread that holds a reference. */
bool request_finish(struct request *request, int outcome);

/* REQUEST_PENDING or the outcome. */
int request_outcome(const struct request *request);

#endif
