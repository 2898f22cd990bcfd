/* Class ids in texts and in JSON. */
#ifndef RESNEXT_MODEL_CLASS_ID_H
#define RESNEXT_MODEL_CLASS_ID_H

#include <jansson.h>

/* A class id in decimal; -1 if it is something else. */
int class_id_parse(const char *text);

/* The same as JSON's keys have it: no zeros before it. */
int class_id_of_key(const char *key);

/* A value: an integer, whatever it is, or, as some write it, a string like a key. */
json_int_t class_id_take(const json_t *id);

#endif
