/* An answer while it is written and until it is sent: bytes that grow, counted in the memory for
 * bodies. One thread at a time. */
#ifndef RESNEXT_SERVE_ANSWER_H
#define RESNEXT_SERVE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "serve/bodies.h"

/* Zeroed, it is none. */
struct answer {
    struct bodies *bodies;
    char *bytes; /* from malloc, [capacity]; `capacity` counts in `bodies` */
    size_t length, capacity;
    int failure;      /* why it could not go on; then nothing is written any more */
    int status;       /* of HTTP */
    const char *type; /* Content-Type, lives as long as the program */
    /* Asked again and again while it is written: false ends it. NULL: it never is. */
    bool (*go_on)(void *arg);
    void *arg;
    unsigned questions; /* see answer_goes_on */
    size_t json_length; /* of its first part, if binary tensors follow; else 0 */
};

/* Begins an answer of status 200 and type application/json; `bodies` must outlive it. */
void answer_begin(struct answer *answer, struct bodies *bodies);

/* Makes an answer of `bytes` (from malloc), which it takes over and counts. */
void answer_adopt(struct answer *answer, struct bodies *bodies, char *bytes, size_t length);

/* False once it has failed: nothing is written any more. For loops that take long; whatever appends
 * asks too. */
bool answer_goes_on(struct answer *answer);

/* Append bytes, a string, a float in 4 bytes, little-endian, and what printf makes. What fails
 * shows in answer_end. */
void answer_put(struct answer *answer, const void *bytes, size_t length);
void answer_text(struct answer *answer, const char *text);
void answer_float(struct answer *answer, float number);
__attribute__((format(printf, 2, 3))) void answer_printf(struct answer *answer, const char *format,
                                                         ...);

/* Gives back what is not needed; `go_on` is asked no more. ERR_OVERLOADED if there was no space in
 * the memory for bodies, which cannot be with up to BODIES_SMALL bytes; ERR_DEADLINE if `go_on` was
 * false; ERR_NO_MEMORY. */
int answer_end(struct answer *answer, struct error *err);

/* Frees the bytes, which count no more. Zeroed is fine. */
void answer_free(struct answer *answer);

#endif
