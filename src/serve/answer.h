/* An answer while it is written and until it is sent: a growing buffer that counts in the memory
 * for bodies. One thread at a time. */
#ifndef RESNEXT_SERVE_ANSWER_H
#define RESNEXT_SERVE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "serve/bodies.h"

/* A zeroed one is empty. */
struct answer {
    struct bodies *bodies;
    char *bytes; /* from malloc, [capacity]; `capacity` counts in `bodies` */
    size_t length, capacity;
    int failure;      /* why it failed; then nothing more is written */
    int status;       /* of HTTP */
    const char *type; /* Content-Type, lives as long as the program */
    /* Asked repeatedly while the answer is written: false ends it. NULL: it is never asked. */
    bool (*go_on)(void *arg);
    void *arg;
    unsigned questions; /* see answer_goes_on */
    size_t json_length; /* of its JSON, if binary tensors follow; else 0 */
};

/* Begins an answer of status 200 and type application/json; `bodies` must outlive it. */
void answer_begin(struct answer *answer, struct bodies *bodies);

/* Makes an answer of `bytes` (from malloc), which it takes over and counts. */
void answer_adopt(struct answer *answer, struct bodies *bodies, char *bytes, size_t length);

/* False once the answer has failed and nothing more is written. For long loops; every append asks
 * too. */
bool answer_goes_on(struct answer *answer);

/* Append bytes, a string, a float in 4 little-endian bytes, and printf's output. A failure shows in
 * answer_end. */
void answer_put(struct answer *answer, const void *bytes, size_t length);
void answer_text(struct answer *answer, const char *text);
void answer_float(struct answer *answer, float number);
__attribute__((format(printf, 2, 3))) void answer_printf(struct answer *answer, const char *format,
                                                         ...);

/* Returns unused memory; `go_on` is not asked any more. ERR_OVERLOADED if there was no space in the
 * memory for bodies, which cannot happen up to BODIES_SMALL bytes; ERR_DEADLINE if `go_on` was
 * false; ERR_NO_MEMORY. */
int answer_end(struct answer *answer, struct error *err);

/* Frees the bytes and stops counting them. A zeroed answer is fine. */
void answer_free(struct answer *answer);

#endif
