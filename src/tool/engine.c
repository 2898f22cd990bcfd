/* Concurrency. Threads claim file numbers in order from `next`. The result of file i goes into slot
 * i % slot_count. The caller's thread takes results in order and counts them in `taken`. A file may
 * be claimed only while next < taken + slot_count. So a slot has one user at a time: first the
 * thread that claimed it and then, once `ready` is set, the caller. This bounds memory. A slow
 * picture delays only the output of the pictures after it. `lock` guards all of struct engine
 * except the contents of slots. */
#include "tool/engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/size.h"
#include "base/threads.h"

enum { SLOTS_PER_THREAD = 4 };

struct slot {
    bool ready;
    struct engine_result result;
    float *logits; /* [result_length] */
};

struct engine {
    const struct model *model;
    const struct file_list *files;
    const struct engine_options *options;
    pthread_mutex_t lock;
    pthread_cond_t has_result, has_space;
    size_t next, taken;
    bool stop;
    size_t slot_count;
    struct slot *slots;
    size_t result_length;
    float *logits; /* [slot_count][result_length] */
};

struct worker {
    struct engine *engine;
    int number;
    pthread_t thread;
    struct session *session;
    struct file_bytes bytes;
};

static int compute(struct worker *w, const struct file_entry *file, float *logits,
                   struct error *err)
{
    const struct engine *engine = w->engine;
    struct session *session = w->session;
    if (file->problem)
        return error_set(err, ERR_IO, "%s", file->problem);
    int code = picture_decode(session, &engine->options->pictures, file->path, &w->bytes, err);
    if (code != ERR_OK)
        return code;
    session_put_rgb(session, 0);
    if (engine->options->compute)
        return engine->options->compute(engine->options->compute_context, w->number, session,
                                        logits, err);
    memcpy(logits, session_forward(session, NULL, NULL), engine->result_length * sizeof *logits);
    return model_check_logits(session->model, logits, err);
}

/* Claims a file. False if none is left. */
static bool claim(struct engine *engine, size_t *index)
{
    pthread_mutex_lock(&engine->lock);
    while (!engine->stop && engine->next < engine->files->count &&
           engine->next >= engine->taken + engine->slot_count)
        pthread_cond_wait(&engine->has_space, &engine->lock);
    bool claimed = !engine->stop && engine->next < engine->files->count;
    if (claimed)
        *index = engine->next++;
    pthread_mutex_unlock(&engine->lock);
    return claimed;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct engine *engine = w->engine;
    for (size_t i; claim(engine, &i);) {
        struct slot *slot = &engine->slots[i % engine->slot_count];
        slot->result = (struct engine_result){.file = &engine->files->entries[i]};
        if (compute(w, slot->result.file, slot->logits, &slot->result.error) == ERR_OK)
            slot->result.logits = slot->logits;
        slot->result.recomputed = slot->result.logits && w->session->recomputed;
        pthread_mutex_lock(&engine->lock);
        slot->ready = true;
        pthread_cond_signal(&engine->has_result);
        pthread_mutex_unlock(&engine->lock);
    }
    return NULL;
}

static void take_results(struct engine *engine, engine_sink *sink, void *context)
{
    bool go_on = true;
    for (size_t i = 0; go_on && i < engine->files->count; i++) {
        struct slot *slot = &engine->slots[i % engine->slot_count];
        pthread_mutex_lock(&engine->lock);
        while (!slot->ready)
            pthread_cond_wait(&engine->has_result, &engine->lock);
        pthread_mutex_unlock(&engine->lock);
        go_on = sink(context, &slot->result);
        pthread_mutex_lock(&engine->lock);
        slot->ready = false;
        engine->taken++;
        pthread_cond_broadcast(&engine->has_space);
        pthread_mutex_unlock(&engine->lock);
    }
}

static void stop(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->stop = true;
    pthread_cond_broadcast(&engine->has_space);
    pthread_mutex_unlock(&engine->lock);
}

static int create_slots(struct engine *engine, size_t workers, struct error *err)
{
    size_t floats;
    engine->slot_count = SLOTS_PER_THREAD * workers;
    engine->slots = calloc(engine->slot_count, sizeof *engine->slots);
    if (size_mul(engine->slot_count, engine->result_length, &floats))
        engine->logits = calloc(floats, sizeof *engine->logits);
    if (!engine->slots || !engine->logits)
        return error_set(err, ERR_NO_MEMORY, "no memory for results");
    for (size_t i = 0; i < engine->slot_count; i++)
        engine->slots[i].logits = engine->logits + i * engine->result_length;
    return ERR_OK;
}

/* Starts the threads. *started is the number that run, even after a failure. */
static int start_workers(struct engine *engine, struct worker *workers, size_t count,
                         size_t *started, struct error *err)
{
    for (*started = 0; *started < count; ++*started) {
        struct worker *w = &workers[*started];
        w->engine = engine;
        w->number = (int)*started;
        int code = sessions_create(&w->session, &engine->model, 1, 1, err);
        if (code == ERR_OK)
            code = thread_start(&w->thread, "classify", worker_main, w, err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

int engine_run(const struct model *model, const struct file_list *files,
               const struct engine_options *options, engine_sink *sink, void *context,
               struct error *err)
{
    struct engine engine = {.model = model,
                            .files = files,
                            .options = options,
                            .result_length =
                                options->compute ? options->result_length : (size_t)model->classes,
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .has_result = PTHREAD_COND_INITIALIZER,
                            .has_space = PTHREAD_COND_INITIALIZER};
    size_t threads = (size_t)options->threads, started = 0;
    size_t count = threads < files->count ? threads : files->count;
    CHECK(count > 0);
    struct worker *workers = calloc(count, sizeof *workers);
    int code = workers ? create_slots(&engine, count, err)
                       : error_set(err, ERR_NO_MEMORY, "no memory for %zu threads", count);
    if (code == ERR_OK)
        code = model_check_memory(model, (int)count, err);
    if (code == ERR_OK)
        code = start_workers(&engine, workers, count, &started, err);
    if (code == ERR_OK)
        take_results(&engine, sink, context);
    stop(&engine);
    for (size_t i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    for (size_t i = 0; workers && i < count; i++) {
        sessions_destroy(workers[i].session, 1);
        free(workers[i].bytes.data);
    }
    free(workers);
    free(engine.logits);
    free(engine.slots);
    return code;
}
