/* Average precision: the accuracy of a network that scores each class by itself. */
#ifndef RESNEXT_TOOL_MULTI_LABEL_H
#define RESNEXT_TOOL_MULTI_LABEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A picture's score for one class. */
struct scored {
    float score;   /* not NaN */
    bool positive; /* the picture shows the class */
};

/* The average precision of one class, from 0 to 1: the sum over thresholds of
 * (recall - recall before) * precision. Pictures with equal scores share a threshold,
 * as in scikit-learn's average_precision_score. Sorts `pictures`. NaN if none is positive. */
double average_precision(struct scored *pictures, size_t count);

struct class_precision {
    size_t positives; /* pictures that show the class */
    double average;   /* average precision; NaN without positives */
};

struct multi_label {
    size_t classes, count, capacity;    /* pictures */
    float *logits;                      /* [capacity][classes] */
    bool *shown;                        /* [capacity][classes] */
    struct class_precision *precisions; /* [classes], filled by multi_label_finish */
    size_t measured;                    /* classes with positives */
    double mean;                        /* over measured classes; NaN if there are none */
};

/* Allocates memory for `capacity` pictures. ERR_NO_MEMORY. */
int multi_label_create(struct multi_label *m, size_t classes, size_t capacity, struct error *err);

/* Adds a picture with `logits` [classes]. Returns its row of `shown`, [classes] and all false, in
 * which the caller sets the classes that it shows. */
bool *multi_label_add(struct multi_label *m, const float *logits);

/* Computes the precision of each class and the mean. ERR_NO_MEMORY. */
int multi_label_finish(struct multi_label *m, struct error *err);

/* A zeroed struct is fine. */
void multi_label_destroy(struct multi_label *m);

#endif
