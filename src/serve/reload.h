/* Reloads: the configuration, the models and the keys are read again, beside those in use, and
 * replace them between two requests. A reload that fails changes nothing and reports why. */
#ifndef RESNEXT_SERVE_RELOAD_H
#define RESNEXT_SERVE_RELOAD_H

#include "serve/completion.h"
#include "serve/server.h"

struct reload_settings {
    struct server *server;
    const struct conf *conf; /* of the start */
    int argc;                /* the command line, which counts at every reload */
    char **argv;
    /* Applies other changes, called when everything is ready but nothing has changed yet. On
     * failure it must leave everything as it was. May be NULL. */
    int (*apply)(void *arg, const struct conf *next, struct error *err);
    void *arg;
};

struct reload;

/* The report of a reload: why it failed, or which options need a restart. */
struct reload_report {
    struct error failure;
    struct conf_keys restart_needed;
};

/* The result that a client of a reload waits for. */
struct reload_result {
    struct completion completion;
    struct reload_report report; /* with outcome ERR_OK */
    struct reload_result *next;  /* the reload's */
};

/* A result with one reference, the caller's, who sets `done` and `waiter` of its completion.
 * ERR_NO_MEMORY. */
int reload_result_create(struct reload_result **out, struct error *err);

/* Gives up a reference. NULL is fine. */
void reload_result_release(struct reload_result *result);

/* Starts the thread that reloads; it is neither a worker nor an HTTP thread. ERR_THREAD,
 * ERR_NO_MEMORY. `*out` belongs to the caller. */
int reload_start(struct reload **out, const struct reload_settings *settings, struct error *err);

/* Asks for a reload that begins after this call. `result` (may be NULL) is finished when the reload
 * is over, or with ERR_DRAINING if there will be none, as after server_begin_drain. Any thread. */
void reload_ask(struct reload *reload, struct reload_result *result);

/* Waits for a running reload until `deadline_ns` (on clock_monotonic_ns), finishes the results that
 * wait for another with ERR_DRAINING, as all from now on, and ends the thread. False if the reload
 * still runs: it uses the server and the things that `apply` changes, so nothing may be freed then.
 * Once; NULL is fine. */
bool reload_halt(struct reload *reload, int64_t deadline_ns);

/* Frees a halted reload, which nobody may ask any more. NULL is fine. */
void reload_destroy(struct reload *reload);

#endif
