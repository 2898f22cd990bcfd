#include "model/config_labels.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/label_words.h"

/* Names by class id; NULL where a map has none. The JSON's, or `made`'s. */
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
    return value && !json_is_null(value) && !is_empty;
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

/* Some write the ids of label2id as strings. */
static json_int_t take_id(const json_t *id)
{
    if (json_is_string(id))
        return parse_id(json_string_value(id));
    return json_is_integer(id) ? json_integer_value(id) : -1;
}

/* A map from name to class id. */
static int collect_inverse(struct names *names, const json_t *value, struct error *err)
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
        rc = json_array_append_new(names->made, name) == 0
                 ? put(names, take_id(id), name, err)
                 : error_set(err, ERR_NO_MEMORY, "no memory for labels");
    }
    return rc;
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
    json_t *made = json_array();
    int rc = names && made ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for labels");
    if (rc != ERR_OK) {
        json_decref(made);
        free(names);
        return rc;
    }
    names->key = key;
    names->made = made;
    names->is_map = json_is_object(value);
    rc = strcmp(key, "label2id") == 0 ? collect_inverse(names, value, err)
                                      : collect(names, value, err);
    if (rc == ERR_OK)
        *out = names;
    else
        names_destroy(names);
    return rc == ERR_OK ? ERR_OK : error_prefix(err, rc, "%s", key);
}

enum { NUMBER = 24 };

/* NULL if it is neither a string nor an integer. */
static const char *text_of(const json_t *name, char number[NUMBER])
{
    snprintf(number, NUMBER, "%" JSON_INTEGER_FORMAT, json_integer_value(name));
    return json_is_integer(name) ? number : json_string_value(name);
}

static bool are_defaults(const struct names *names)
{
    bool all = names->count > 0;
    for (size_t i = 0; all && i < names->count; i++) {
        char text[NUMBER + sizeof LABELS_DEFAULT];
        snprintf(text, sizeof text, LABELS_DEFAULT, i);
        const char *name = json_string_value(names->by_id[i]);
        all = name && strcmp(name, text) == 0;
    }
    return all;
}

/* The words that people read for a name, if there are any. */
static const json_t *describe(const json_t *name, const json_t *descriptions)
{
    const json_t *description = json_object_get(descriptions, json_string_value(name));
    return description && json_is_string(name) ? description : name;
}

static bool is_same(const json_t *a, const json_t *b)
{
    char one[NUMBER], other[NUMBER];
    const char *x = text_of(a, one), *y = text_of(b, other);
    return x && y && strcmp(x, y) == 0;
}

/* Two keys may name the same classes, one by what the other's names stand for. */
static int compare(const struct names *a, const struct names *b, const json_t *descriptions,
                   struct error *err)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        const json_t *x = a->by_id[i], *y = b->by_id[i];
        if (x && y && !is_same(x, y) && !is_same(describe(x, descriptions), y) &&
            !is_same(x, describe(y, descriptions)))
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

static int add_all(struct model_config *out, const struct names *names, const json_t *descriptions,
                   struct error *err)
{
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < names->count; i++)
        rc = add_label(&out->labels, describe(names->by_id[i], descriptions), err);
    return rc;
}

static int take(struct model_config *out, const struct names *names, const json_t *descriptions,
                struct error *err)
{
    out->labels_may_end_early = names->is_map;
    int rc = add_all(out, names, descriptions, err);
    return rc == ERR_OK ? ERR_OK : error_prefix(err, rc, "%s", names->key);
}

static const char *const read_keys[] = {"label_names", "labels", "id2label", "label2id"};
enum { READ_KEYS = sizeof read_keys / sizeof read_keys[0] };

static bool has_read_key(const json_t *place)
{
    for (size_t i = 0; i < READ_KEYS; i++)
        if (says_something(json_object_get(place, read_keys[i])))
            return true;
    return false;
}

/* Whether pretrained_cfg is of an ancestor with another number of classes, as it stays behind when
 * a network is fine-tuned. */
static bool is_of_an_ancestor(const json_t *picture, size_t outputs)
{
    const json_t *classes = json_object_get(picture, "num_classes");
    return json_is_integer(classes) && outputs > 0 &&
           json_integer_value(classes) != (json_int_t)outputs;
}

/* Beside other names: a word, and label2id where several names stand for one class. */
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
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < READ_KEYS; i++) {
        const json_t *value = json_object_get(place, read_keys[i]);
        struct names *names = NULL, *better = NULL;
        if (!says_something(value))
            continue;
        rc = names_create(&names, read_keys[i], value, err);
        if (rc == ERR_MODEL_INVALID && *best && may_be_unread(read_keys[i], value))
            rc = ERR_OK;
        else if (rc == ERR_OK && (!*best || (are_defaults(*best) && !are_defaults(names))))
            better = names;
        else if (rc == ERR_OK && !are_defaults(names))
            rc = compare(*best, names, descriptions, err);
        names_destroy(better ? *best : names);
        *best = better ? better : *best;
    }
    return rc;
}

/* --- names that nobody understands --- */

/* With so few classes a list or a map is as long as they are many by chance. What is not noticed
 * then gives "class 0", which nobody takes for a name. */
enum { FEW_CLASSES = 10 };

static bool may_name(const json_t *value)
{
    return value && !json_is_number(value) && !json_is_boolean(value) && !json_is_null(value);
}

static bool is_as_long_as_classes(const json_t *value, size_t classes)
{
    return classes > FEW_CLASSES &&
           (json_array_size(value) == classes || json_object_size(value) == classes);
}

/* What stands under a key that says that it names classes. Words with numbers that are no ids, as
 * weights are, name them only if there are as many. */
static bool contains_names(const json_t *container, size_t classes)
{
    const char *key, *text = json_string_value(container);
    json_t *value;
    if (text)
        return strpbrk(text, ",;|\t\n") != NULL || label_words_ending(text);
    for (size_t i = 0; i < json_array_size(container); i++)
        if (may_name(json_array_get(container, i)))
            return true;
    json_object_foreach((json_t *)container, key, value)
    {
        bool is_word = parse_id(key) < 0;
        if (may_name(value) ||
            (is_word && (json_is_integer(value) || is_as_long_as_classes(container, classes))))
            return true;
    }
    return false;
}

static bool is_list_of_names(const json_t *value)
{
    bool all = json_array_size(value) > 0;
    for (size_t i = 0; all && i < json_array_size(value); i++)
        all = may_name(json_array_get(value, i));
    return all;
}

/* From class ids to names, or the other way round: then each id is there once, which their sum
 * tells well enough. */
static bool is_map_of_names(const json_t *map)
{
    const char *key;
    json_t *value;
    json_int_t count = (json_int_t)json_object_size(map), sum = 0;
    bool names = count > 0, ids = count > 0;
    json_object_foreach((json_t *)map, key, value)
    {
        json_int_t id = take_id(value);
        names = names && parse_id(key) >= 0 && may_name(value);
        ids = ids && id >= 0 && id < count;
        sum += ids ? id : 0;
    }
    return names || (ids && sum == count * (count - 1) / 2);
}

/* Keys whose lists of words, however long, are no names of classes. */
static bool is_something_else(const char *key)
{
    static const char *const keys[] = {"architectures", "stage_names", "out_features", "tags"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* Whether a key that nothing reads has names of classes, by its own name or by their number. */
static bool names_classes(const char *key, const json_t *value, size_t classes)
{
    if (is_something_else(key))
        return false;
    if (label_words_key(key) && contains_names(value, classes))
        return true;
    return is_as_long_as_classes(value, classes) &&
           (is_list_of_names(value) || is_map_of_names(value));
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

/* The root without what pretrained_cfg says of the classes; NULL without memory. */
static json_t *copy_own(const json_t *root)
{
    json_t *own = json_copy((json_t *)root);
    json_object_del(own, "pretrained_cfg");
    return own;
}

/* Keys at the root that nothing reads, though they may name the classes: those in pretrained_cfg
 * would be served instead. */
static int check_root(const json_t *root, size_t outputs, struct error *err)
{
    json_t *own = copy_own(root);
    if (!own)
        return error_set(err, ERR_NO_MEMORY, "no memory for labels");
    json_object_del(own, "label_descriptions");
    const char *unread = find_unread(own, outputs);
    int rc = unread
                 ? error_set(err, ERR_MODEL_INVALID,
                             "%.60s seems to name the classes, in a form that is not read, and "
                             "pretrained_cfg names them, too; make it \"label_names\": a list in "
                             "order of class id",
                             unread)
                 : ERR_OK;
    json_decref(own);
    return rc;
}

static void note_unread(struct model_config *out, const char *key)
{
    snprintf(out->unread_labels, sizeof out->unread_labels, "%s", key ? key : "");
}

static int look_for_unread(struct model_config *out, const json_t *root, bool own_alone,
                           size_t outputs, struct error *err)
{
    json_t *own = own_alone ? copy_own(root) : json_copy((json_t *)root);
    if (!own)
        return error_set(err, ERR_NO_MEMORY, "no memory for labels");
    note_unread(out, find_unread(own, outputs));
    json_decref(own);
    return ERR_OK;
}

/* Names by class id. Those by other names mean nothing without these. */
static int take_descriptions(struct model_config *out, const json_t *descriptions,
                             struct error *err)
{
    struct names *names = NULL;
    int rc = names_create(&names, "label_descriptions", descriptions, err);
    if (rc == ERR_OK)
        rc = take(out, names, NULL, err);
    else if (rc == ERR_MODEL_INVALID) {
        note_unread(out, "label_descriptions");
        rc = ERR_OK;
    }
    names_destroy(names);
    return rc;
}

int config_labels_read(struct model_config *out, const json_t *root, const json_t *picture,
                       size_t outputs, struct error *err)
{
    bool is_other = is_of_an_ancestor(picture, outputs);
    const json_t *place = has_read_key(root) || is_other ? root : picture;
    const json_t *descriptions = json_object_get(root, "label_descriptions");
    if (!says_something(descriptions) && !is_other)
        descriptions = json_object_get(picture, "label_descriptions");
    struct names *names = NULL;
    int rc = choose(&names, place, descriptions, err);
    if (rc == ERR_OK && names && place != root)
        rc = check_root(root, outputs, err);
    if (rc == ERR_OK && names)
        rc = take(out, names, descriptions, err);
    else if (rc == ERR_OK && says_something(descriptions))
        rc = take_descriptions(out, descriptions, err);
    else if (rc == ERR_OK)
        rc = look_for_unread(out, root, is_other, outputs, err);
    names_destroy(names);
    return rc;
}
