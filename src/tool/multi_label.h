/* What is measured of a network that scores each class by itself: average precision. */
#ifndef RESNEXT_TOOL_MULTI_LABEL_H
#define RESNEXT_TOOL_MULTI_LABEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct class_precision {
    size_t positives; /* pictures that show the class */
    double average;   /* precision; NaN without positives */
};

struct multi_label {
    size_t classes, count, capacity;    /* pictures */
    float *logits;                      /* [capacity][classes] */
    bool *shown;                        /* the same */
    struct class_precision *precisions; /* [classes], once finished */
    size_t measured;                    /* classes with positives */
    double mean;                        /* of these; NaN if there is none */
};

/* Room for `capacity` pictures. ERR_NO_MEMORY. */
int multi_label_create(struct multi_label *m, size_t classes, size_t capacity, struct error *err);

/* Adds a picture: `logits` [classes]; returns where to say which classes it shows, [classes] and
 * all false. */
bool *multi_label_add(struct multi_label *m, const float *logits);

/* Ranks the pictures class by class. ERR_NO_MEMORY. */
int multi_label_finish(struct multi_label *m, struct error *err);

/* Harmless on a zeroed one. */
void multi_label_destroy(struct multi_label *m);

#endif
