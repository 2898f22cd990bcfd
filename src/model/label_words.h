/* What others call the names of classes: keys of config.json that are not read, and files beside
 * it. To put other names in their place would be wrong without a word. */
#ifndef RESNEXT_MODEL_LABEL_WORDS_H
#define RESNEXT_MODEL_LABEL_WORDS_H

#include <stdbool.h>

/* Whether a key says that it names the classes: class_names, idx2label, Categories. Not so keys of
 * training and of exports that only look like it: classifier, label_smoothing, stage_names. */
bool label_words_key(const char *key);

/* Whether a text ends like the name of a file that can hold names. */
bool label_words_ending(const char *text);

/* Whether a file without its folder says so: its stem as a key does, and by its ending. Hidden
 * files do not. */
bool label_words_file(const char *name);

#endif
