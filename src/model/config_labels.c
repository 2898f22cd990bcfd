#include "model/config_labels.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/class_id.h"
#include "model/strict_json.h"
#include "model/unread_labels.h"

/* Names by class id, owned by the JSON or by `made`; NULL where a map has none. */
struct names {
    const json_t *by_id[MODEL_CLASSES_MAX];
    size_t count; /* up to the last that there is */
    const char *key;
    bool is_map;
    json_t *made;
};

static bool says_something(const json_t *value)
{
    bool is_empty = (json_is_array(value) && json_array_size(value) == 0) ||
                    (json_is_object(value) && json_object_size(value) == 0);
    return json_is_said(value) && !is_empty;
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

/* From a map from name to class id. */
static int put_inverse(struct names *names, const char *key, const json_t *id, struct error *err)
{
    json_t *name = json_string(key);
    return json_array_append_new(names->made, name) == 0
               ? put(names, class_id_take(id), name, err)
               : error_set(err, ERR_NO_MEMORY, "no memory for labels");
}

static int collect(struct names *names, const json_t *value, struct error *err)
{
    bool is_inverse = strcmp(names->key, "label2id") == 0;
    const char *key;
    json_t *item;
    int code = ERR_OK;
    if (!json_is_object(value) && (is_inverse || !json_is_array(value)))
        return error_set(err, ERR_MODEL_INVALID,
                         is_inverse ? "no map from name to class id"
                                    : "neither a list nor a map from class id to name");
    for (size_t i = 0; code == ERR_OK && i < json_array_size(value); i++)
        code = put(names, (json_int_t)i, json_array_get(value, i), err);
    json_object_foreach((json_t *)value, key, item)
    {
        if (code != ERR_OK)
            break;
        code = is_inverse ? put_inverse(names, key, item, err)
                          : put(names, class_id_of_key(key), item, err);
    }
    return code;
}

static void names_destroy(struct names *names)
{
    if (!names)
        return;
    json_decref(names->made);
    free(names);
}

static int names_create(struct names **out, const char *key, const json_t *value, struct error *err)
{
    struct names *names = calloc(1, sizeof *names);
    if (!names || !(names->made = json_array())) {
        free(names);
        return error_set(err, ERR_NO_MEMORY, "no memory for labels");
    }
    names->key = key;
    names->is_map = json_is_object(value);
    int code = collect(names, value, err);
    if (code == ERR_OK)
        *out = names;
    else
        names_destroy(names);
    return error_prefix(err, code, "%s", key);
}

enum { NUMBER = 24 };

/* NULL if it is neither a string nor an integer. */
static const char *text_of(const json_t *name, char number[NUMBER])
{
    snprintf(number, NUMBER, "%" JSON_INTEGER_FORMAT, json_integer_value(name));
    return json_is_integer(name) ? number : json_string_value(name);
}

/* The description of a name, or the name itself if it has none. */
static const json_t *describe(const json_t *name, const json_t *descriptions)
{
    const json_t *description = json_object_get(descriptions, json_string_value(name));
    return description && json_is_string(name) ? description : name;
}

/* Whether the names, or their descriptions, are all defaults. */
static bool are_defaults(const struct names *names, const json_t *descriptions)
{
    bool all = names->count > 0;
    for (size_t i = 0; all && i < names->count; i++) {
        const char *name = json_string_value(describe(names->by_id[i], descriptions));
        all = name && label_is_default(name, i);
    }
    return all;
}

static bool is_same_text(const json_t *a, const json_t *b)
{
    char one[NUMBER], other[NUMBER];
    const char *x = text_of(a, one), *y = text_of(b, other);
    return x && y && strcmp(x, y) == 0;
}

/* Two keys agree if their names are equal, or one has the descriptions of the other's names. */
static int compare(const struct names *a, const struct names *b, const json_t *descriptions,
                   struct error *err)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        const json_t *x = a->by_id[i], *y = b->by_id[i];
        if (x && y && !is_same_text(x, y) && !is_same_text(describe(x, descriptions), y) &&
            !is_same_text(x, describe(y, descriptions)))
            return error_set(err, ERR_MODEL_INVALID,
                             "%s and %s have different names for class %zu; leave the wrong one "
                             "out",
                             a->key, b->key, i);
    }
    return ERR_OK;
}

static int add_label(struct label_list *labels, const json_t *name, struct error *err)
{
    char number[NUMBER];
    if (!name)
        return label_list_number(labels, labels->count + 1, err);
    if (json_is_string(name))
        return label_list_add(labels, json_string_value(name), json_string_length(name), err);
    const char *text = text_of(name, number);
    return text ? label_list_add(labels, text, strlen(text), err)
                : error_set(err, ERR_MODEL_INVALID, "label %zu is neither a string nor a number",
                            labels->count);
}

static int take(struct model_config *out, const struct names *names, const json_t *descriptions,
                struct error *err)
{
    int code = ERR_OK;
    out->labels_may_end_early = names->is_map;
    for (size_t i = 0; code == ERR_OK && i < names->count; i++)
        code = add_label(&out->labels, describe(names->by_id[i], descriptions), err);
    return error_prefix(err, code, "%s", names->key);
}

/* The first READ_KEYS name the classes. The others have names, too, and are not searched for unread
 * ones. */
static const char *const read_keys[] = {
    "label_names", "labels", "id2label", "label2id", "label_descriptions", "pretrained_cfg", NULL};
enum { READ_KEYS = 4 };

/* Whether pretrained_cfg is that of a parent with another number of classes. Fine-tuning leaves it
 * in the file. */
static bool is_of_an_ancestor(const json_t *picture, size_t outputs)
{
    const json_t *classes = json_object_get(picture, "num_classes");
    return json_is_integer(classes) && outputs > 0 &&
           json_integer_value(classes) != (json_int_t)outputs;
}

/* Whether a value may be ignored beside other names: a single word, or a label2id with several
 * names for a class. */
static bool may_be_unread(const char *key, const json_t *value)
{
    bool is_container = json_is_array(value) || json_is_object(value);
    return !is_container || strcmp(key, "label2id") == 0;
}

/* The first key that says more than defaults, or else the first. Others must agree with it, if
 * they are lists or maps at all. */
static int choose(struct names **best, const json_t *place, const json_t *descriptions,
                  struct error *err)
{
    int code = ERR_OK, unread = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < READ_KEYS; i++) {
        const json_t *value = json_object_get(place, read_keys[i]);
        struct names *names = NULL, *better = NULL;
        if (!says_something(value))
            continue;
        code = names_create(&names, read_keys[i], value, err);
        if (code == ERR_MODEL_INVALID && may_be_unread(read_keys[i], value)) {
            unread = code;
            code = ERR_OK;
        } else if (code == ERR_OK && (!*best || (are_defaults(*best, descriptions) &&
                                                 !are_defaults(names, descriptions))))
            better = names;
        else if (code == ERR_OK && !are_defaults(names, descriptions))
            code = compare(*best, names, descriptions, err);
        names_destroy(better ? *best : names);
        *best = better ? better : *best;
    }
    return code == ERR_OK && (!*best || are_defaults(*best, descriptions)) ? unread : code;
}

/* Whether any of the names has a description. */
static bool describes(const struct names *names, const json_t *descriptions)
{
    bool any = false;
    for (size_t i = 0; !any && i < names->count; i++)
        any = describe(names->by_id[i], descriptions) != names->by_id[i];
    return any;
}

/* Keys at the root that nothing reads, though they may name the classes: those in pretrained_cfg
 * would be served instead. */
static int check_root(const json_t *root, const struct names *names, size_t outputs,
                      struct error *err)
{
    const json_t *descriptions = json_object_get(root, "label_descriptions");
    const char *unread = unread_labels_find(root, read_keys, outputs);
    if (!unread && says_something(descriptions) && !describes(names, descriptions))
        unread = "label_descriptions";
    return unread ? error_set(err, ERR_MODEL_INVALID,
                              "%.60s seems to name the classes, in a form that is not read, and "
                              "pretrained_cfg names them, too; make it \"label_names\": a list in "
                              "order of class id",
                              unread)
                  : ERR_OK;
}

static void note_unread(struct model_config *out, const char *key)
{
    snprintf(out->unread_labels, sizeof out->unread_labels, "%s", key ? key : "");
}

/* Takes descriptions by class id. Descriptions by name are of no use without the names. */
static int take_descriptions(struct model_config *out, const json_t *descriptions,
                             struct error *err)
{
    struct names *names = NULL;
    int code = names_create(&names, "label_descriptions", descriptions, err);
    if (code == ERR_OK)
        code = take(out, names, NULL, err);
    else if (code == ERR_MODEL_INVALID) {
        note_unread(out, "label_descriptions");
        code = ERR_OK;
    }
    names_destroy(names);
    return code;
}

/* Real names in pretrained_cfg come before defaults at the root. */
static int choose_place(struct names **names, const json_t *root, const json_t *picture,
                        const json_t *descriptions, size_t outputs, struct error *err)
{
    int code = choose(names, root, descriptions, err);
    bool has_defaults = *names && are_defaults(*names, descriptions);
    if (code != ERR_OK || !picture || picture == root || (*names && !has_defaults))
        return code;
    code = choose(names, picture, descriptions, err);
    if (code != ERR_OK || !*names || (has_defaults && are_defaults(*names, descriptions)))
        return code;
    return check_root(root, *names, outputs, err);
}

int config_labels_read(struct model_config *out, const json_t *root, const json_t *picture,
                       size_t outputs, struct error *err)
{
    static const char *const ancestors[] = {"pretrained_cfg", NULL};
    bool is_other = is_of_an_ancestor(picture, outputs);
    const json_t *descriptions = json_object_get(root, "label_descriptions");
    if (!says_something(descriptions) && !is_other)
        descriptions = json_object_get(picture, "label_descriptions");
    struct names *names = NULL;
    int code = choose_place(&names, root, is_other ? NULL : picture, descriptions, outputs, err);
    if (code == ERR_OK && names)
        code = take(out, names, descriptions, err);
    else if (code == ERR_OK && says_something(descriptions))
        code = take_descriptions(out, descriptions, err);
    else if (code == ERR_OK)
        note_unread(out, unread_labels_find(root, is_other ? ancestors : NULL, outputs));
    names_destroy(names);
    return code;
}
