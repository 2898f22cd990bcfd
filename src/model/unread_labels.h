/* Finds class names in forms that are not read, under keys of config.json and in files beside it.
 * To serve other names in their place would be silently wrong. */
#ifndef RESNEXT_MODEL_UNREAD_LABELS_H
#define RESNEXT_MODEL_UNREAD_LABELS_H

#include <jansson.h>

#include "base/error.h"

/* Finds a key, at any depth, that seems to name the classes, by its own name or because it has
 * `classes` names (0: unknown) and those are more than a few. NULL if there is none. The key
 * belongs to `root`. Keys of the root that are in `without` (NULL-terminated, or NULL) are skipped.
 */
const char *unread_labels_find(const json_t *root, const char *const *without, size_t classes);

/* Refuses a folder with a file that seems to name the classes: ERR_MODEL_INVALID, and the message
 * names the file. ERR_IO.
 */
int unread_labels_refuse_files(const char *folder, struct error *err);

#endif
