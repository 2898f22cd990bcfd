/* Names of classes that nobody reads, under keys of config.json and in files beside it. To put
 * other names in their place would be wrong without a word. */
#ifndef RESNEXT_MODEL_UNREAD_LABELS_H
#define RESNEXT_MODEL_UNREAD_LABELS_H

#include <jansson.h>

#include "base/error.h"

/* A key, at any depth, under which classes seem to be named, by what it is called or by there being
 * `classes` of them (0: unknown), if those are more than a few; NULL if there is none. It is
 * `root`'s. Keys of the root in `without`, which NULL ends, are not looked at; NULL: none. */
const char *unread_labels_find(const json_t *root, const char *const *without, size_t classes);

/* Refuses a folder with a file that seems to name the classes: ERR_MODEL_INVALID names it. ERR_IO.
 */
int unread_labels_refuse_files(const char *folder, struct error *err);

#endif
