#include "model/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/file.h"
#include "model/tensor_names.h"
#include "model/torch_file.h"

/* A state dict that could be meant. */
struct part {
    char name[IMPORT_PART_NAME];
    const struct pickle_value *mapping;
};

struct import {
    struct torch_file *torch;  /* either this, */
    struct safetensors *plain; /* or this */
    struct part parts[IMPORT_MAX_PARTS];
    size_t part_count, taken;
    struct torch_tensor *tensors;
    struct tensor_table table; /* `begin` is the index of the tensor in the file's list */
};

/* How far a dict is searched for state dicts, or for tensors. */
enum { SEARCHED_KEYS = 256, SEARCHED_ITEMS = 1024 };

/* The entries of a mapping that are left, up to a maximum. */
struct entries {
    const struct pickle_item *item;
    size_t left;
    const struct pickle_value *key, *value;
};

static struct entries entries_of(const struct pickle_value *value, size_t max)
{
    return (struct entries){.item = pickle_is_mapping(value) ? value->first : NULL, .left = max};
}

/* False if there is no further entry. */
static bool next_entry(struct entries *e)
{
    if (!e->item || !e->item->next || e->left == 0)
        return false;
    e->key = e->item->value;
    e->value = e->item->next->value;
    e->item = e->item->next->next;
    e->left--;
    return true;
}

static bool has_tensors(const struct pickle_value *value)
{
    struct entries e = entries_of(value, SEARCHED_ITEMS);
    while (next_entry(&e))
        if (e.key->kind == PICKLE_TEXT && torch_is_tensor(e.value))
            return true;
    return false;
}

static void add_part(struct import *import, const struct pickle_value *key, const char *inner,
                     const struct pickle_value *mapping)
{
    size_t length = key->length + (inner ? 1 + strlen(inner) : 0);
    if (import->part_count == IMPORT_MAX_PARTS || length >= IMPORT_PART_NAME)
        return;
    struct part *part = &import->parts[import->part_count++];
    snprintf(part->name, sizeof part->name, "%.*s%s%s", (int)key->length, key->text,
             inner ? "." : "", inner ? inner : "");
    part->mapping = mapping;
}

/* The state dict under a key, or one level below it. */
static void find_part(struct import *import, const struct pickle_value *key,
                      const struct pickle_value *value)
{
    static const char *const inner[] = {"module", "model", "state_dict"};
    if (has_tensors(value)) {
        add_part(import, key, NULL, value);
        return;
    }
    struct entries e = entries_of(value, SEARCHED_KEYS);
    while (next_entry(&e))
        for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++)
            if (pickle_is_text(e.key, inner[i]) && has_tensors(e.value))
                add_part(import, key, inner[i], e.value);
}

static void find_parts(struct import *import, const struct pickle_value *root)
{
    struct entries e = entries_of(root, SEARCHED_KEYS);
    while (next_entry(&e))
        if (e.key->kind == PICKLE_TEXT)
            find_part(import, e.key, e.value);
    if (import->part_count == 0 && has_tensors(root))
        import->parts[import->part_count++].mapping = root;
}

/* The part of this name, or below this name. */
static bool take_named(struct import *import, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < import->part_count; i++) {
        const char *name = import->parts[i].name;
        if (strncmp(name, key, length) == 0 && (name[length] == '\0' || name[length] == '.')) {
            import->taken = i;
            return true;
        }
    }
    return false;
}

static const char *list_parts(const struct import *import, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < import->part_count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
                                 *import->parts[i].name ? import->parts[i].name : "the root");
    return text;
}

static int choose(struct import *import, const char *key, struct error *err)
{
    static const char *const usual[] = {"state_dict_ema", "model_ema", "ema_state_dict",  "ema",
                                        "state_dict",     "model",     "model_state_dict"};
    char list[200];
    list_parts(import, list, sizeof list);
    if (import->part_count == 0)
        return error_set(
            err, ERR_MODEL_UNSUPPORTED,
            "it has no state dict, names with tensors, at its root or under a key such "
            "as state_dict or model; save one, in Python: "
            "torch.save(model.state_dict(), FILE)");
    if (key && !take_named(import, key))
        return error_set(err, ERR_PARAMETER,
                         "--key %.60s: there is no such state dict; there is %s", key, list);
    for (size_t i = 0; !key && i < sizeof usual / sizeof usual[0]; i++)
        if (take_named(import, usual[i]))
            return ERR_OK;
    if (!key && import->part_count > 1)
        return error_set(err, ERR_PARAMETER,
                         "it has several state dicts: %s; choose one with --key", list);
    return ERR_OK;
}

/* Counters of batches, which only training needs. */
static bool is_dropped(const char *name)
{
    static const char *const ends[] = {"num_batches_tracked", "n_averaged"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t end = strlen(ends[i]);
        if (length >= end && strcmp(name + length - end, ends[i]) == 0 &&
            (length == end || name[length - end - 1] == '.'))
            return true;
    }
    return false;
}

static int take_name(const struct pickle_value *key, struct tensor_info *info, struct error *err)
{
    bool plain = key->length > 0 && key->length < sizeof info->name;
    for (size_t i = 0; plain && i < key->length; i++)
        plain = key->text[i] > 0x20 && key->text[i] < 0x7f;
    if (!plain)
        return error_set(err, ERR_MODEL_INVALID,
                         "a tensor's name is not 1 to %zu printable ASCII characters",
                         sizeof info->name - 1);
    memcpy(info->name, key->text, key->length);
    info->name[key->length] = '\0';
    return ERR_OK;
}

static void describe(struct tensor_info *info, int rank, const size_t *shape, size_t elements,
                     size_t index)
{
    info->type = TENSOR_F32;
    info->rank = rank;
    memcpy(info->shape, shape, SAFETENSORS_MAX_RANK * sizeof *shape);
    info->elements = elements;
    info->bytes = elements * sizeof(float);
    info->begin = index;
}

/* Tensors may share numbers, but not so often that the work is out of proportion to the file. */
static int check_cost(const struct torch_file *file, const struct torch_tensor *t, uint64_t *left,
                      struct error *err)
{
    size_t numbers = t->span > t->elements ? t->span : t->elements;
    uint64_t bytes = (uint64_t)numbers * tensor_type_bytes(t->type);
    if (bytes > *left)
        return error_set(err, ERR_MODEL_INVALID,
                         "its tensors have far more numbers than the file of %ju bytes",
                         (uintmax_t)torch_file_size(file));
    *left -= bytes;
    return ERR_OK;
}

/* Adds the tensor to the table, unless it is dropped. */
static int take_tensor(struct import *import, const struct pickle_value *key,
                       const struct pickle_value *value, uint64_t *left, struct error *err)
{
    struct tensor_table *table = &import->table;
    struct tensor_info *info = &table->tensors[table->count];
    struct torch_tensor *tensor = &import->tensors[table->count];
    int code = take_name(key, info, err);
    if (code != ERR_OK || is_dropped(info->name))
        return code;
    code = torch_file_tensor(import->torch, value, info->name, tensor, err);
    if (code == ERR_OK)
        code = check_cost(import->torch, tensor, left, err);
    if (code != ERR_OK)
        return code;
    describe(info, tensor->rank, tensor->shape, tensor->elements, table->count);
    table->count++;
    return ERR_OK;
}

static int make_table(struct import *import, size_t count, struct error *err)
{
    if (count > SAFETENSORS_MAX_TENSORS)
        return error_set(err, ERR_MODEL_INVALID, "it has %zu tensors; at most %d are read", count,
                         SAFETENSORS_MAX_TENSORS);
    import->table.tensors = calloc(count + 1, sizeof *import->table.tensors);
    import->tensors = calloc(count + 1, sizeof *import->tensors);
    return import->table.tensors && import->tensors
               ? ERR_OK
               : error_set(err, ERR_NO_MEMORY, "no memory for the list of tensors");
}

static int take_torch_tensors(struct import *import, struct error *err)
{
    enum { TIMES = 2 };
    const struct pickle_item *first = import->parts[import->taken].mapping->first, *item;
    uint64_t left = TIMES * torch_file_size(import->torch);
    size_t count = 0;
    for (item = first; item && item->next; item = item->next->next)
        count += item->value->kind == PICKLE_TEXT && torch_is_tensor(item->next->value);
    int code = make_table(import, count, err);
    for (item = first; code == ERR_OK && item && item->next; item = item->next->next)
        if (item->value->kind == PICKLE_TEXT && torch_is_tensor(item->next->value))
            code = take_tensor(import, item->value, item->next->value, &left, err);
    return code;
}

static int take_plain_tensors(struct import *import, struct error *err)
{
    const struct tensor_table *from = safetensors_tensors(import->plain);
    struct tensor_table *table = &import->table;
    int code = make_table(import, from->count, err);
    table->naming = from->naming;
    for (size_t i = 0; code == ERR_OK && i < from->count; i++) {
        const struct tensor_info *t = &from->tensors[i];
        if (is_dropped(t->name))
            continue;
        struct tensor_info *info = &table->tensors[table->count++];
        *info = *t;
        describe(info, t->rank, t->shape, t->elements, i);
    }
    return code;
}

/* A header of JSON behind its length. */
static int is_safetensors(const char *path, bool *result, struct error *err)
{
    unsigned char head[9];
    struct stat status;
    int fd, code = file_open(path, &fd, &status, err);
    if (code != ERR_OK)
        return code;
    *result = file_read(fd, head, sizeof head, 0) == sizeof head && head[8] == '{' && head[7] == 0;
    close(fd);
    return ERR_OK;
}

static int open_torch(struct import *import, const char *path, const char *key, struct error *err)
{
    int code = torch_file_open(&import->torch, path, err);
    if (code != ERR_OK)
        return code;
    find_parts(import, torch_file_root(import->torch));
    code = choose(import, key, err);
    if (code == ERR_OK)
        code = take_torch_tensors(import, err);
    if (code == ERR_OK)
        code = tensor_names_rename(&import->table, err);
    return error_prefix(err, code, "%s", path);
}

static int open_plain(struct import *import, const char *path, const char *key, struct error *err)
{
    if (key)
        return error_set(err, ERR_PARAMETER, "--key: %s is in safetensors format, without keys",
                         path);
    int code = safetensors_open(&import->plain, path, err);
    import->part_count = 1;
    if (code == ERR_OK)
        code = take_plain_tensors(import, err);
    return code;
}

int import_open(struct import **out, const char *path, const char *key, struct error *err)
{
    bool plain = false;
    struct import *import = calloc(1, sizeof *import);
    int code = import ? is_safetensors(path, &plain, err)
                      : error_set(err, ERR_NO_MEMORY, "no memory to open %s", path);
    if (code == ERR_OK)
        code = (plain ? open_plain : open_torch)(import, path, key, err);
    if (code == ERR_OK)
        *out = import;
    else
        import_close(import);
    return code;
}

void import_close(struct import *import)
{
    if (!import)
        return;
    torch_file_close(import->torch);
    safetensors_close(import->plain);
    tensor_table_destroy(&import->table);
    free(import->tensors);
    free(import);
}

const struct tensor_table *import_tensors(const struct import *import)
{
    return &import->table;
}

const char *import_taken(const struct import *import)
{
    return import->parts[import->taken].name;
}

const char *import_other(const struct import *import, size_t i)
{
    i += i >= import->taken;
    return i < import->part_count ? import->parts[i].name : NULL;
}

const struct pickle_value *import_fact(const struct import *import, const char *key)
{
    return import->torch ? pickle_get(torch_file_root(import->torch), key) : NULL;
}

const struct pickle_value *import_option(const struct import *import, const char *key)
{
    const struct pickle_value *args = import_fact(import, "args");
    if (args && args->kind == PICKLE_OBJECT && args->global->role == PICKLE_NAMESPACE)
        args = args->state;
    return pickle_get(args, key);
}

static int read_values(struct import *import, const struct tensor_info *info, float *out,
                       struct error *err)
{
    if (import->torch)
        return torch_file_read(import->torch, &import->tensors[info->begin], info->name, out, err);
    const struct tensor_info *t = &safetensors_tensors(import->plain)->tensors[info->begin];
    if (t->type >= TENSOR_READABLE)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "tensor %s has type %s; F32, F16 and BF16 are read", t->name,
                         tensor_type_name(t->type));
    return safetensors_read(import->plain, t, out, err);
}

static int write_tensor(struct import *import, struct safetensors_writer *writer,
                        const struct tensor_info *info, struct error *err)
{
    int code = memory_check(info->bytes, err);
    if (code != ERR_OK)
        return code;
    float *values = malloc(info->bytes + 1);
    if (!values)
        return error_set(err, ERR_NO_MEMORY, "no memory for tensor %s", info->name);
    code = read_values(import, info, values, err);
    if (code == ERR_OK)
        code = safetensors_writer_put(writer, values, info->bytes, err);
    free(values);
    return code;
}

int import_write(struct import *import, const char *path, void (*step)(void *), void *context,
                 struct error *err)
{
    const struct tensor_table *table = &import->table;
    struct safetensors_writer *writer;
    int code = safetensors_writer_create(&writer, path, table->tensors, table->count, err);
    if (code != ERR_OK)
        return code;
    for (size_t i = 0; code == ERR_OK && i < table->count; i++) {
        code = write_tensor(import, writer, &table->tensors[i], err);
        step(context);
    }
    if (code == ERR_OK)
        return safetensors_writer_finish(writer, err);
    safetensors_writer_abort(writer);
    return code;
}
