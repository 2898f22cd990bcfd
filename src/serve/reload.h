/* Reloads: configuration, models and keys are read anew beside the ones in use, and take their
 * place between two requests. A reload that fails changes nothing, and says why. */
#ifndef RESNEXT_SERVE_RELOAD_H
#define RESNEXT_SERVE_RELOAD_H

#include "serve/completion.h"
#include "serve/server.h"

struct reload_settings {
    struct server *server;
    const struct conf *conf; /* of the start */
    int argc;                /* the command line, which counts at every reload */
    char **argv;
    /* What else has to change, called when all is ready but nothing has changed yet: does so, or
     * fails and leaves all as it was. May be NULL. */
    int (*apply)(void *arg, const struct conf *next, struct error *err);
    void *arg;
};

struct reload;

/* What came of a reload: why it failed, or what it leaves for a restart. */
struct reload_report {
    struct error failure;
    struct conf_keys restart_needed;
};

/* What somebody waits for who asked for a reload. */
struct reload_result {
    struct completion completion;
    struct reload_report report; /* with outcome ERR_OK */
    struct reload_result *next;  /* the reload's */
};

/* With one reference, the caller's, who sets the completion's `done` and waiter. ERR_NO_MEMORY. */
int reload_result_create(struct reload_result **out, struct error *err);

/* Gives up a reference. NULL is fine. */
void reload_result_release(struct reload_result *result);

/* Starts the thread that reloads: not a worker, and not one that speaks HTTP. ERR_THREAD,
 * ERR_NO_MEMORY. `*out` belongs to the caller. */
int reload_start(struct reload **out, const struct reload_settings *settings, struct error *err);

/* Asks for a reload that begins after this call. `result` (may be NULL) is finished when it is
 * over, or with ERR_DRAINING if there will be none, as from server_begin_drain on. Any thread. */
void reload_ask(struct reload *reload, struct reload_result *result);

/* Waits for a running reload until `deadline_ns` (on clock_monotonic_ns), lets go who waits for
 * another, and ends the thread. Who asks from now on gets ERR_DRAINING. False if the reload still
 * runs: it uses the server and what `apply` changes, so nothing may be freed then. Once; NULL is
 * fine. */
bool reload_halt(struct reload *reload, int64_t deadline_ns);

/* Frees what is halted; nobody may ask any more. NULL is fine. */
void reload_destroy(struct reload *reload);

#endif
