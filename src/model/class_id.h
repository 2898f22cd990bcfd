/* Class ids in text and in JSON. */
#ifndef RESNEXT_MODEL_CLASS_ID_H
#define RESNEXT_MODEL_CLASS_ID_H

#include <jansson.h>

/* The class id that `text` is in decimal; -1 if it is anything else. */
int class_id_parse(const char *text);

/* The same for a key of JSON, which has no leading zeros. */
int class_id_of_key(const char *key);

/* The class id of a value: an integer, in whatever range, or a string that is like a key; -1 for
 * anything else. */
json_int_t class_id_take(const json_t *id);

#endif
