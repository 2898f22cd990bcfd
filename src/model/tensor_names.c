#include "model/tensor_names.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name's beginning, up to a dot. "#" stands for a number, which the new one repeats where it has
 * a "#", and raises by 1 where it has a "+". */
struct rule {
    const char *old, *new;
};

static const struct rule legacy_senet[] = {
    {"layer0.conv1", "conv1"}, {"layer0.bn1", "bn1"}, {"layer#.#.se_module", "layer#.#.se"},
    {"last_linear", "fc"},     {NULL, NULL},
};

/* Before those above. */
static const struct rule legacy_deep_stem[] = {
    {"layer0.conv1", "conv1.0"},
    {"layer0.bn1", "conv1.1"},
    {"layer0.conv2", "conv1.3"},
    {"layer0.bn2", "conv1.4"},
    {"layer0.conv3", "conv1.6"},
    {"layer0.bn3", "bn1"},
    {NULL, NULL},
};

static const struct rule hugging_face[] = {
    {"resnet.embedder.embedder.convolution", "conv1"},
    {"resnet.embedder.embedder.normalization", "bn1"},
    {"resnet.encoder.stages.#.layers.#.layer.#.convolution", "layer+.#.conv+"},
    {"resnet.encoder.stages.#.layers.#.layer.#.normalization", "layer+.#.bn+"},
    {"resnet.encoder.stages.#.layers.#.shortcut.convolution", "layer+.#.downsample.0"},
    {"resnet.encoder.stages.#.layers.#.shortcut.normalization", "layer+.#.downsample.1"},
    {"classifier.1", "fc"},
    {NULL, NULL},
};

enum { NUMBERS = 3, DIGITS = 4 };

/* Behind a number without leading zeros, or NULL. */
static const char *take_number(const char *text, int *number)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS || (text[0] == '0' && digits > 1))
        return NULL;
    *number = atoi(text);
    return text + digits;
}

/* What follows a rule's beginning in a name: a dot and more; or NULL. */
static const char *match(const char *old, const char *name, int numbers[NUMBERS])
{
    for (int count = 0; name && *old; old++) {
        if (*old == '#')
            name = take_number(name, &numbers[count++]);
        else
            name = *name == *old ? name + 1 : NULL;
    }
    return name && *name == '.' ? name : NULL;
}

/* `rest` lies in another buffer than `name`. Every rule makes a name shorter. */
static void write_name(char name[SAFETENSORS_NAME_MAX], const char *new, const int numbers[NUMBERS],
                       const char *rest)
{
    size_t used = 0;
    for (; *new; new ++) {
        if (*new == '#' || *new == '+')
            used += (size_t)snprintf(name + used, SAFETENSORS_NAME_MAX - used, "%d",
                                     *numbers++ + (*new == '+'));
        else
            name[used++] = *new;
    }
    snprintf(name + used, SAFETENSORS_NAME_MAX - used, "%s", rest);
}

/* Renames a tensor by the first rule that matches, if one does. */
static void apply(const struct rule *rules, struct tensor_info *tensor)
{
    char old[SAFETENSORS_NAME_MAX];
    int numbers[NUMBERS];
    const char *rest = NULL;
    strcpy(old, tensor->name);
    for (; !rest && rules->old; rules++) {
        rest = match(rules->old, old, numbers);
        if (rest)
            write_name(tensor->name, rules->new, numbers, rest);
    }
}

static void apply_to_all(struct tensor_table *table, const struct rule *rules)
{
    for (size_t i = 0; i < table->count; i++)
        apply(rules, &table->tensors[i]);
}

static bool carries(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 && name[length];
}

/* The first tensor whose name does, or does not, begin like this; or NULL. */
static const struct tensor_info *first(const struct tensor_table *table, const char *prefix,
                                       bool does)
{
    for (size_t i = 0; i < table->count; i++)
        if (carries(table->tensors[i].name, prefix) == does)
            return &table->tensors[i];
    return NULL;
}

/* A tensor that every network has, in each naming. */
static const char *const marks[] = {"layer1.0.conv1.weight",
                                    "resnet.embedder.embedder.convolution.weight"};

/* Whether `name` is a mark behind nothing or behind a dot; `prefix` is then what is before it. */
static bool shows_prefix(const char *name, const char *mark, char prefix[SAFETENSORS_NAME_MAX])
{
    size_t length = strlen(name), end = strlen(mark), before = length - end;
    if (length < end || strcmp(name + before, mark) != 0 || (before > 0 && name[before - 1] != '.'))
        return false;
    memcpy(prefix, name, before);
    prefix[before] = '\0';
    return true;
}

/* The tensor that shows the prefix of the network's names, be it empty; or NULL. */
static const struct tensor_info *find_prefix(const struct tensor_table *table,
                                             char prefix[SAFETENSORS_NAME_MAX])
{
    for (size_t i = 0; i < table->count; i++)
        for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++)
            if (shows_prefix(table->tensors[i].name, marks[k], prefix))
                return &table->tensors[i];
    return NULL;
}

/* Whether a part of a prefix is a number. */
static bool is_in_sequence(const char *prefix)
{
    bool is = false;
    for (size_t n; !is && *prefix; prefix += n + 1) {
        n = strcspn(prefix, ".");
        is = n > 0 && strspn(prefix, "0123456789") == n;
    }
    return is;
}

static void take_off(struct tensor_table *table, size_t length)
{
    for (size_t i = 0; i < table->count; i++) {
        char *name = table->tensors[i].name;
        memmove(name, name + length, strlen(name + length) + 1);
    }
}

static int take_prefix_off(struct tensor_table *table, struct error *err)
{
    char prefix[SAFETENSORS_NAME_MAX] = "";
    const struct tensor_info *with = find_prefix(table, prefix);
    const struct tensor_info *without = with ? first(table, prefix, false) : NULL;
    if (without)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "tensor %s has the prefix \"%s\", but tensor %s does not; a prefix is "
                         "taken off if all tensors have it: leave out those that are not of the "
                         "network",
                         with->stored, prefix, without->stored);
    if (is_in_sequence(prefix))
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "tensor %s is of one part of a sequence, and what its other parts compute "
                         "does not show; save the state dict of this part alone",
                         with->stored);
    take_off(table, strlen(prefix));
    return ERR_OK;
}

static void rename_all(struct tensor_table *table)
{
    if (first(table, "resnet.", true)) {
        table->naming = NAMING_HUGGING_FACE;
        apply_to_all(table, hugging_face);
    } else if (first(table, "layer1.0.se_module.", true)) {
        table->naming = NAMING_LEGACY_SENET;
        if (first(table, "layer0.conv2.", true))
            apply_to_all(table, legacy_deep_stem);
        apply_to_all(table, legacy_senet);
    }
}

static int check_unique(const struct tensor_table *table, struct error *err)
{
    for (size_t i = 1; i < table->count; i++) {
        const struct tensor_info *a = &table->tensors[i - 1], *b = &table->tensors[i];
        if (strcmp(a->name, b->name) == 0)
            return error_set(err, ERR_MODEL_UNSUPPORTED,
                             "tensors %s and %s would both be %s; leave out the one that is not "
                             "of the network",
                             a->stored, b->stored, a->name);
    }
    return ERR_OK;
}

int tensor_names_rename(struct tensor_table *table, struct error *err)
{
    for (size_t i = 0; i < table->count; i++)
        strcpy(table->tensors[i].stored, table->tensors[i].name);
    int code = take_prefix_off(table, err);
    if (code != ERR_OK)
        return code;
    rename_all(table);
    tensor_table_sort(table);
    return check_unique(table, err);
}
