/* Names of classes in config.json that nobody reads. */
#ifndef RESNEXT_MODEL_UNREAD_LABELS_H
#define RESNEXT_MODEL_UNREAD_LABELS_H

#include <jansson.h>

/* A key, at any depth, under which classes seem to be named, by what it is called or by there being
 * `classes` of them (0: unknown), if those are more than a few; NULL if there is none. It is
 * `root`'s. Keys of the root in `without`, which NULL ends, are not looked at; NULL: none. */
const char *unread_labels_find(const json_t *root, const char *const *without, size_t classes);

#endif
