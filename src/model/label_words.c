#include "model/label_words.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const words[] = {
    "label",   "class", "categor", "synset", "wnid",   "names", "to_name",  "2name",
    "name_to", "name2", "to_idx",  "2idx",   "idx_to", "idx2",  "to_index", "index_to",
};

/* What has one of the words and means something else. */
static const char *const others[] = {
    "classif",      "label_smooth",  "label_offset", "stage_names",  "input_names",
    "output_names", "feature_names", "column_names", "column_label", "filenames",
};

static const char *const endings[] = {".txt", ".json",  ".csv",   ".tsv", ".yaml",
                                      ".yml", ".names", ".pbtxt", ".npy", ".pkl"};

enum { WORDS = sizeof words / sizeof words[0], OTHERS = sizeof others / sizeof others[0] };
enum { ENDINGS = sizeof endings / sizeof endings[0] };

bool label_words_key(const char *key)
{
    char rest[256], *at;
    snprintf(rest, sizeof rest, "%s", key);
    for (at = rest; *at; at++)
        if (strchr("-. ", *at))
            *at = '_';
    for (size_t i = 0; i < OTHERS; i++)
        while ((at = strcasestr(rest, others[i])))
            memset(at, ' ', strlen(others[i]));
    bool found = false;
    for (size_t i = 0; !found && i < WORDS; i++)
        found = strcasestr(rest, words[i]) != NULL;
    return found;
}

bool label_words_ending(const char *text)
{
    const char *ending = strrchr(text, '.');
    for (size_t i = 0; ending && i < ENDINGS; i++)
        if (strcasecmp(ending, endings[i]) == 0)
            return true;
    return false;
}

bool label_words_file(const char *name)
{
    char stem[256];
    if (name[0] == '.' || !label_words_ending(name))
        return false;
    const char *ending = strrchr(name, '.');
    snprintf(stem, sizeof stem, "%.*s", (int)(ending - name), name);
    return strcasecmp(ending, ".names") == 0 || label_words_key(stem);
}
