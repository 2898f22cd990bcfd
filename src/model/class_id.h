/* Class ids in JSON. */
#ifndef RESNEXT_MODEL_CLASS_ID_H
#define RESNEXT_MODEL_CLASS_ID_H

#include <jansson.h>

/* A class id in decimal, as JSON's keys have it; -1 if it is something else. */
json_int_t class_id_parse(const char *text);

/* The same of a value: an integer, whatever it is, or, as some write it, a string. */
json_int_t class_id_take(const json_t *id);

#endif
