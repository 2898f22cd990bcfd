#include "model/config_labels.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names by class id; NULL where a map has none. The JSON's. */
struct names {
    const json_t *by_id[MODEL_CLASSES_MAX];
    size_t count; /* up to the last that there is */
};

/* The value of a key that says something. */
static const json_t *find(const json_t *root, const json_t *picture, const char *key)
{
    const json_t *value = json_object_get(root, key);
    if (!value || json_is_null(value))
        value = json_object_get(picture, key);
    bool is_empty = (json_is_array(value) && json_array_size(value) == 0) ||
                    (json_is_object(value) && json_object_size(value) == 0);
    return json_is_null(value) || is_empty ? NULL : value;
}

/* A class id in decimal, as JSON's keys have it; -1 if it is something else. */
static json_int_t parse_id(const char *text)
{
    enum { MOST_DIGITS = 6 };
    size_t digits = strspn(text, "0123456789");
    bool plain = digits > 0 && digits <= MOST_DIGITS && !text[digits];
    return plain && (text[0] != '0' || digits == 1) ? atoi(text) : -1;
}

static int put(struct names *names, json_int_t id, const json_t *name, struct error *err)
{
    if (id < 0 || id >= MODEL_CLASSES_MAX)
        return error_set(err, ERR_MODEL_INVALID, "a class id is not a number from 0 to %d",
                         MODEL_CLASSES_MAX - 1);
    if (names->by_id[id])
        return error_set(err, ERR_MODEL_INVALID, "class %d has two names", (int)id);
    names->by_id[id] = name;
    if ((size_t)id >= names->count)
        names->count = (size_t)id + 1;
    return ERR_OK;
}

/* A list, or a map from class id to name. */
static int collect(struct names *names, const json_t *value, struct error *err)
{
    const char *key;
    json_t *name;
    int rc = ERR_OK;
    if (!json_is_object(value) && !json_is_array(value))
        return error_set(err, ERR_MODEL_INVALID, "neither a list nor a map from class id to name");
    for (size_t i = 0; rc == ERR_OK && i < json_array_size(value); i++)
        rc = put(names, (json_int_t)i, json_array_get(value, i), err);
    json_object_foreach((json_t *)value, key, name)
    {
        rc = rc == ERR_OK ? put(names, parse_id(key), name, err) : rc;
    }
    return rc;
}

/* A map from name to class id; `keys` holds the names then. */
static int collect_inverse(struct names *names, const json_t *value, json_t *keys,
                           struct error *err)
{
    const char *key;
    json_t *id;
    int rc = ERR_OK;
    if (!json_is_object(value))
        return error_set(err, ERR_MODEL_INVALID, "no map from name to class id");
    json_object_foreach((json_t *)value, key, id)
    {
        if (rc != ERR_OK)
            break;
        json_t *name = json_string(key);
        rc = json_array_append_new(keys, name) == 0
                 ? put(names, json_is_integer(id) ? json_integer_value(id) : -1, name, err)
                 : error_set(err, ERR_NO_MEMORY, "no memory for labels");
    }
    return rc;
}

/* The words that people read for a name, if there are any. */
static const json_t *describe(const json_t *name, const json_t *descriptions)
{
    const json_t *description = json_object_get(descriptions, json_string_value(name));
    return description && json_is_string(name) ? description : name;
}

static int add_label(struct label_list *labels, const json_t *name, struct error *err)
{
    char number[24];
    if (!name)
        return label_list_number(labels, labels->count + 1, err);
    if (json_is_string(name))
        return label_list_add(labels, json_string_value(name), json_string_length(name), err);
    if (!json_is_integer(name))
        return error_set(err, ERR_MODEL_INVALID, "label %zu is neither a string nor a number",
                         labels->count);
    int n = snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(name));
    return label_list_add(labels, number, (size_t)n, err);
}

static int add_all(struct model_config *out, const struct names *names, const json_t *descriptions,
                   struct error *err)
{
    size_t classes = (size_t)out->classes;
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < names->count; i++)
        rc = add_label(&out->labels, describe(names->by_id[i], descriptions), err);
    if (rc == ERR_OK && out->labels_may_end_early && names->count < classes)
        rc = label_list_number(&out->labels, classes, err);
    return rc;
}

static int take(struct model_config *out, const char *key, const json_t *value,
                const json_t *descriptions, struct error *err)
{
    json_t *keys = json_array();
    struct names *names = calloc(1, sizeof *names);
    int rc = names && keys ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for labels");
    if (rc == ERR_OK)
        rc = strcmp(key, "label2id") == 0 ? collect_inverse(names, value, keys, err)
                                          : collect(names, value, err);
    out->labels_may_end_early = json_is_object(value);
    if (rc == ERR_OK)
        rc = add_all(out, names, descriptions, err);
    free(names);
    json_decref(keys);
    return rc == ERR_OK ? ERR_OK : error_prefix(err, rc, "%s", key);
}

/* --- names that nobody understands --- */

static bool contains_names(const json_t *container)
{
    const char *key;
    json_t *value;
    if (json_is_string(container))
        return strpbrk(json_string_value(container), ",;|\n") != NULL;
    for (size_t i = 0; i < json_array_size(container); i++) {
        const json_t *item = json_array_get(container, i);
        if (!json_is_number(item) && !json_is_boolean(item) && !json_is_null(item))
            return true;
    }
    json_object_foreach((json_t *)container, key, value)
    {
        if (parse_id(key) < 0 || json_is_string(value))
            return true;
    }
    return false;
}

static bool is_list_of_strings(const json_t *value, size_t count)
{
    bool all = json_array_size(value) == count;
    for (size_t i = 0; all && i < count; i++)
        all = json_is_string(json_array_get(value, i));
    return all;
}

/* From class ids to names, or the other way round. */
static bool is_map_of_names(const json_t *map, size_t count)
{
    const char *key;
    json_t *value;
    bool all = json_object_size(map) == count;
    json_object_foreach((json_t *)map, key, value)
    {
        all = all && (parse_id(key) >= 0 ? json_is_string(value) : json_is_integer(value));
    }
    return all;
}

/* Keys of Hugging Face's and timm's whose lists of words are no names of classes. */
static bool is_something_else(const char *key)
{
    static const char *const keys[] = {"architectures", "classifier", "stage_names", "out_features",
                                       "tags"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* Whether a key that nothing reads has names of classes, by its own name or by their number. */
static bool names_classes(const char *key, const json_t *value, size_t classes)
{
    static const char *const words[] = {"label", "class", "categor", "synset"};
    if (is_something_else(key))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(key, words[i]) && contains_names(value))
            return true;
    return classes > 1 && (is_list_of_strings(value, classes) || is_map_of_names(value, classes));
}

/* NULL if there is no such key, at any depth. */
static const char *find_unread(const json_t *object, size_t classes)
{
    const char *key, *found = NULL;
    json_t *value;
    for (size_t i = 0; !found && i < json_array_size(object); i++)
        found = find_unread(json_array_get(object, i), classes);
    json_object_foreach((json_t *)object, key, value)
    {
        if (!found && names_classes(key, value, classes))
            found = key;
        if (!found)
            found = find_unread(value, classes);
    }
    return found;
}

int config_labels_read(struct model_config *out, const json_t *root, const json_t *picture,
                       size_t outputs, struct error *err)
{
    static const char *const keys[] = {"label_names", "labels", "id2label", "label2id"};
    const json_t *descriptions = find(root, picture, "label_descriptions");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *value = find(root, picture, keys[i]);
        if (value)
            return take(out, keys[i], value, descriptions, err);
    }
    if (descriptions)
        return take(out, "label_descriptions", descriptions, NULL, err);
    const char *unread = find_unread(root, outputs);
    snprintf(out->unread_labels, sizeof out->unread_labels, "%s", unread ? unread : "");
    return ERR_OK;
}
