/* Many files through one model with several threads; results come in the order of the list. */
#ifndef RESNEXT_TOOL_ENGINE_H
#define RESNEXT_TOOL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/session.h"
#include "tool/files.h"
#include "tool/pictures.h"

/* What to do with a picture, which was decoded and put into the thread's session. Writes the
 * result, or fails with an error. Runs in thread number `thread` (from 0). */
typedef int engine_compute(void *context, int thread, struct session *session, float *result,
                           struct error *err);

struct engine_options {
    int64_t threads; /* pictures worked on at a time, at least 1 */
    struct picture_options pictures;
    /* NULL: runs the network, the result is its logits, which are finite. Else a result has
     * `result_length` numbers and `compute_context` goes along. */
    engine_compute *compute;
    void *compute_context;
    size_t result_length;
};

/* What became of one file: `logits` [classes] (or what engine_compute wrote), or NULL and `error`.
 * Lives during one engine_sink call. */
struct engine_result {
    const struct file_entry *file;
    const float *logits;
    struct error error;
};

/* Takes the next result, in the calling thread. False to stop early. */
typedef bool engine_sink(void *context, const struct engine_result *result);

/* Does what this loop does, only faster:
 *   for each entry of `files` (there is at least one): sink(context, read, preprocess and classify
 * it) Each of the threads has a session of its own. A file that fails is a
 * result like any other; an error is returned when nothing can be computed: ERR_NO_MEMORY,
 * ERR_THREAD. */
int engine_run(const struct model *model, const struct file_list *files,
               const struct engine_options *options, engine_sink *sink, void *context,
               struct error *err);

#endif
