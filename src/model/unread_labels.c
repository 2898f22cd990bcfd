#include "model/unread_labels.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "model/class_id.h"

static const char *const words[] = {
    "label",   "class", "categor", "synset", "wnid",   "names", "to_name",  "2name",
    "name_to", "name2", "to_idx",  "2idx",   "idx_to", "idx2",  "to_index", "index_to",
};

/* Words that contain one of those and mean something else. */
static const char *const no_words[] = {
    "classif",      "label_smooth",  "label_offset", "stage_names",  "input_names",
    "output_names", "feature_names", "column_names", "column_label", "filenames",
};

static const char *const endings[] = {".txt", ".json",  ".csv",   ".tsv", ".yaml",
                                      ".yml", ".names", ".pbtxt", ".npy", ".pkl"};

enum { WORDS = sizeof words / sizeof words[0], NO_WORDS = sizeof no_words / sizeof no_words[0] };
enum { ENDINGS = sizeof endings / sizeof endings[0] };

/* Whether a key says that it names the classes: class_names, idx2label, Categories. Keys of
 * training and of exports that only look like it do not: classifier, label_smoothing, stage_names.
 */
static bool names_classes(const char *key)
{
    char rest[256], *at;
    snprintf(rest, sizeof rest, "%s", key);
    for (at = rest; *at; at++)
        if (strchr("-. ", *at))
            *at = '_';
    for (size_t i = 0; i < NO_WORDS; i++)
        while ((at = strcasestr(rest, no_words[i])))
            memset(at, ' ', strlen(no_words[i]));
    bool found = false;
    for (size_t i = 0; !found && i < WORDS; i++)
        found = strcasestr(rest, words[i]) != NULL;
    return found;
}

/* Whether a text ends like the name of a file that can hold names. */
static bool has_file_ending(const char *text)
{
    const char *ending = strrchr(text, '.');
    for (size_t i = 0; ending && i < ENDINGS; i++)
        if (strcasecmp(ending, endings[i]) == 0)
            return true;
    return false;
}

/* Whether a file without its folder says so: its stem as a key does, and by its ending. */
static bool is_file_of_names(const char *name)
{
    char stem[256];
    if (name[0] == '.' || !has_file_ending(name))
        return false;
    const char *ending = strrchr(name, '.');
    snprintf(stem, sizeof stem, "%.*s", (int)(ending - name), name);
    return strcasecmp(ending, ".names") == 0 || names_classes(stem);
}

int unread_labels_refuse_files(const char *folder, struct error *err)
{
    DIR *directory = opendir(folder);
    if (!directory)
        return error_set(err, ERR_IO, "cannot read folder %s: %s", folder, strerror(errno));
    int code = ERR_OK;
    for (struct dirent *entry; code == ERR_OK && (entry = readdir(directory));)
        if (is_file_of_names(entry->d_name))
            code = error_set(err, ERR_MODEL_INVALID,
                             "%s/%s seems to name the classes; only labels.txt is read, one name a "
                             "line in order of class id",
                             folder, entry->d_name);
    closedir(directory);
    return code;
}

/* With so few classes, a list or map may have their number by chance. If names are missed, the
 * labels are "class 0" and so on, which nobody takes for names. */
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

/* Whether the value of a key that seems to name classes contains names. A map from words to numbers
 * that are not ids, such as weights, does so only if it has as many entries as there are classes.
 */
static bool contains_names(const json_t *container, size_t classes)
{
    const char *key, *text = json_string_value(container);
    json_t *value;
    bool is_long = is_as_long_as_classes(container, classes);
    if (text)
        return strpbrk(text, ",;|\t\n") != NULL || has_file_ending(text);
    for (size_t i = 0; i < json_array_size(container); i++)
        if (may_name(json_array_get(container, i)))
            return true;
    json_object_foreach((json_t *)container, key, value)
    {
        bool is_word = class_id_of_key(key) < 0;
        if (may_name(value) || (is_word && (json_is_integer(value) || is_long)))
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

/* A map from class ids to names, or from names to ids. Each id must be there once, for which their
 * sum is evidence enough. */
static bool is_map_of_names(const json_t *map)
{
    const char *key;
    json_t *value;
    json_int_t count = (json_int_t)json_object_size(map), sum = 0;
    bool names = count > 0, ids = count > 0;
    json_object_foreach((json_t *)map, key, value)
    {
        json_int_t id = class_id_take(value);
        names = names && class_id_of_key(key) >= 0 && may_name(value);
        ids = ids && id >= 0 && id < count;
        sum += ids ? id : 0;
    }
    return names || (ids && sum == count * (count - 1) / 2);
}

/* Keys whose lists of words are never names of classes. */
static const char *const others[] = {"architectures", "stage_names", "out_features", "tags", NULL};

static bool is_one_of(const char *key, const char *const *keys)
{
    for (; keys && *keys; keys++)
        if (strcmp(key, *keys) == 0)
            return true;
    return false;
}

/* Whether a key that nothing reads has names of classes, by its own name or by their number. */
static bool is_unread(const char *key, const json_t *value, size_t classes)
{
    if (is_one_of(key, others))
        return false;
    if (names_classes(key) && contains_names(value, classes))
        return true;
    return is_as_long_as_classes(value, classes) &&
           (is_list_of_names(value) || is_map_of_names(value));
}

const char *unread_labels_find(const json_t *root, const char *const *without, size_t classes)
{
    const char *key, *found = NULL;
    json_t *value;
    for (size_t i = 0; !found && i < json_array_size(root); i++)
        found = unread_labels_find(json_array_get(root, i), NULL, classes);
    json_object_foreach((json_t *)root, key, value)
    {
        if (found || is_one_of(key, without))
            continue;
        found = is_unread(key, value, classes) ? key : unread_labels_find(value, NULL, classes);
    }
    return found;
}
