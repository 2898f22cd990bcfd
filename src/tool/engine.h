/* Runs many files through one model on several threads. Results come in the order of the list. */
#ifndef RESNEXT_TOOL_ENGINE_H
#define RESNEXT_TOOL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/session.h"
#include "tool/files.h"
#include "tool/pictures.h"

/* Computes the result of the picture in the thread's session, which is decoded and is the network's
 * input. Runs in thread number `thread` (from 0). */
typedef int engine_compute(void *context, int thread, struct session *session, float *result,
                           struct error *err);

struct engine_options {
    int64_t threads; /* pictures computed at the same time, at least 1 */
    struct picture_options pictures;
    /* NULL: the result is the network's logits, all finite. Otherwise a result has `result_length`
     * numbers, and `compute` is called with `compute_context`. */
    engine_compute *compute;
    void *compute_context;
    size_t result_length;
};

/* The result of one file: `logits` [classes], or the numbers that engine_compute wrote; NULL after
 * a failure, which `error` explains. Valid during one engine_sink call. */
struct engine_result {
    const struct file_entry *file;
    const float *logits;
    bool recomputed; /* by a cascade, in float32 */
    struct error error;
};

/* Called with the next result, in the thread that called engine_run. False stops early. */
typedef bool engine_sink(void *context, const struct engine_result *result);

/* Equals this loop:
 *
 *     for each entry of `files` (at least one)
 *         sink(context, read, decode and compute it)
 *
 * Each thread has a session of its own. A failed file is a result like any other. Returns an error
 * only if nothing can be computed: ERR_NO_MEMORY, ERR_THREAD. */
int engine_run(const struct model *model, const struct file_list *files,
               const struct engine_options *options, engine_sink *sink, void *context,
               struct error *err);

#endif
