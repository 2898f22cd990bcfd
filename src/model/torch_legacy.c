/* The form before PyTorch 1.6: pickles of a magic number, the protocol, the machine, the values and
 * the list of storages, and then of each storage the number of its elements and their bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "model/file.h"
#include "model/torch_container.h"

static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
enum { PROTOCOL = 1001 };

static int read_start(struct torch_container *c, struct error *err)
{
    c->length = c->size < PICKLE_MAX_BYTES ? (size_t)c->size : PICKLE_MAX_BYTES;
    c->bytes = malloc(c->length + 1);
    if (!c->bytes)
        return error_set(err, ERR_NO_MEMORY, "no memory for the pickle");
    return file_read_at(c->fd, c->path, c->bytes, c->length, 0, err);
}

/* The pickle at *at, behind which *at then is. */
static int next_pickle(const struct torch_container *c, size_t *at, struct pickle *out,
                       struct error *err)
{
    int code = pickle_read(out, c->bytes + *at, c->length - *at, err);
    if (code == ERR_OK)
        *at += out->length;
    return code;
}

static int not_torch(struct error *err)
{
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "it is no file of torch.save: another program wrote it, or another function; "
                     "save a state dict, in Python: torch.save(model.state_dict(), FILE)");
}

/* The sizes of the machine's types need no check: the storages' are fixed. */
static bool is_little_endian(const struct pickle_value *machine)
{
    const struct pickle_value *order = pickle_get(machine, "little_endian");
    return !order || (order->kind == PICKLE_BOOL && order->integer);
}

/* Other programs' pickles are not read any further than the magic number would be. */
static bool has_magic(const struct torch_container *c, size_t *at)
{
    enum { FIRST_BYTES = 64 };
    struct pickle p;
    if (pickle_read(&p, c->bytes, c->length < FIRST_BYTES ? c->length : FIRST_BYTES, NULL) !=
        ERR_OK)
        return false;
    bool right = p.root->kind == PICKLE_TEXT && p.root->length == sizeof magic &&
                 memcmp(p.root->text, magic, sizeof magic) == 0;
    *at = p.length;
    pickle_destroy(&p);
    return right;
}

static int read_head(const struct torch_container *c, size_t *at, struct error *err)
{
    struct pickle p;
    if (!has_magic(c, at))
        return not_torch(err);
    int code = next_pickle(c, at, &p, err);
    if (code != ERR_OK)
        return code;
    bool right = p.root->kind == PICKLE_INT && p.root->integer == PROTOCOL;
    pickle_destroy(&p);
    if (!right)
        return not_torch(err);
    if ((code = next_pickle(c, at, &p, err)) != ERR_OK)
        return code;
    right = is_little_endian(p.root);
    pickle_destroy(&p);
    return right ? ERR_OK
                 : error_set(err, ERR_MODEL_UNSUPPORTED,
                             "its numbers are not little-endian; save it on a common machine");
}

/* Checks the size of a storage at *at of the file, behind which *at then is. */
static int place_storage(const struct torch_container *c, struct torch_storage *s, uint64_t *at,
                         struct error *err)
{
    uint64_t elements;
    size_t bytes;
    if (*at > c->size || c->size - *at < sizeof elements)
        return error_set(err, ERR_MODEL_INVALID, "it ends too early (is it complete?)");
    int code = file_read_at(c->fd, c->path, &elements, sizeof elements, *at, err);
    if (code != ERR_OK)
        return code;
    *at += sizeof elements;
    if (elements != s->elements || !size_mul(s->elements, tensor_type_bytes(s->type), &bytes) ||
        c->size - *at < bytes)
        return error_set(err, ERR_MODEL_INVALID,
                         "storage %.*s does not have the %zu numbers that are announced (is the "
                         "file complete?)",
                         (int)s->key_length, s->key, s->elements);
    s->place = *at;
    s->found = true;
    *at += bytes;
    return ERR_OK;
}

static int place_storages(const struct torch_container *c, const struct pickle_value *keys,
                          uint64_t at, struct error *err)
{
    int code = ERR_OK;
    if (keys->kind != PICKLE_LIST)
        return error_set(err, ERR_MODEL_INVALID, "its list of storages is damaged");
    for (const struct pickle_item *i = keys->first; code == ERR_OK && i; i = i->next) {
        struct torch_storage *s = i->value->kind == PICKLE_TEXT
                                      ? torch_find_storage(c, i->value->text, i->value->length)
                                      : NULL;
        if (!s || s->found)
            return error_set(err, ERR_MODEL_INVALID,
                             "its list of storages is not that of its tensors");
        code = place_storage(c, s, &at, err);
    }
    return code;
}

int torch_legacy_open(struct torch_container *c, struct error *err)
{
    struct pickle keys;
    size_t at = 0;
    int code = read_start(c, err);
    if (code == ERR_OK)
        code = read_head(c, &at, err);
    if (code == ERR_OK)
        code = next_pickle(c, &at, &c->pickle, err);
    if (code == ERR_OK)
        code = torch_list_storages(c, err);
    if (code == ERR_OK)
        code = next_pickle(c, &at, &keys, err);
    if (code != ERR_OK)
        return code;
    code = place_storages(c, keys.root, at, err);
    pickle_destroy(&keys);
    return code;
}

int torch_legacy_read(struct torch_container *c, const struct torch_storage *storage, size_t begin,
                      void *out, size_t length, struct error *err)
{
    return file_read_at(c->fd, c->path, out, length, storage->place + begin, err);
}
