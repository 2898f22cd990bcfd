/* A model cascade: pictures that int8 decides by a small margin (model_margin) are computed again
 * in float32. */
#ifndef RESNEXT_MODEL_CASCADE_H
#define RESNEXT_MODEL_CASCADE_H

#include <jansson.h>

/* All are 0 if there is none. */
struct cascade {
    double margin;    /* of logits: what is decided by less is computed again */
    double agreement; /* fraction of pictures that is promised to be decided as float32 does */
    double fraction;  /* of the pictures held out that were computed again */
};

/* Formats a cascade for people; "none". */
enum { CASCADE_TEXT = 128 };
void cascade_text(const struct cascade *cascade, char text[CASCADE_TEXT]);

/* {"margin","agreement","fraction"}; JSON's null if there is none. NULL without memory. The caller
 * owns it. */
json_t *cascade_json(const struct cascade *cascade);

#endif
