#include "model/torch_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "base/memory.h"
#include "base/size.h"
#include "model/file.h"
#include "model/half.h"
#include "model/torch_container.h"
#include "nn/finite.h"

struct torch_file {
    char *path;
    struct torch_container container;
};

/* Files of others that people hold for checkpoints, by their first bytes. */
static const struct {
    size_t offset, length;
    const char *bytes, *what;
} others[] = {
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file (Keras); it has to be converted to PyTorch first"},
    {0, 3, "\x1f\x8b\x08", "compressed by gzip; gunzip it first"},
    {0, 6,
     "\xfd"
     "7zXZ",
     "compressed by xz; unxz it first"},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed by zstd; unzstd it first"},
    {257, 5, "ustar",
     "a tar archive; unpack it, or, if PyTorch before 0.2 wrote it, load and save it with a newer "
     "one"},
    {0, 6, "\x93NUMPY", "a file of NumPy; save a PyTorch state dict instead"},
    {0, 1, "\x08", "probably an ONNX network; save a PyTorch state dict instead"},
    {0, 9, "<!DOCTYPE", "a web page; fetch the file itself"},
    {0, 9, "<!doctype", "a web page; fetch the file itself"},
    {0, 5, "<html", "a web page; fetch the file itself"},
    {0, 7, "version", "a Git LFS pointer; fetch the file itself with git lfs pull"},
};

static int refuse_others(const unsigned char *head, size_t length, struct error *err)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (length >= others[i].offset + others[i].length &&
            memcmp(head + others[i].offset, others[i].bytes, others[i].length) == 0)
            return error_set(err, ERR_MODEL_UNSUPPORTED, "it is %s", others[i].what);
    if (length >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
        return ERR_OK;
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "it is no file of torch.save (a zip with data.pkl, or a pickle)");
}

static int read_container(struct torch_container *c, struct error *err)
{
    unsigned char head[512];
    size_t length = c->size < sizeof head ? (size_t)c->size : sizeof head;
    int code = file_read_at(c->fd, c->path, head, length, 0, err);
    if (code != ERR_OK)
        return code;
    if (length >= 4 && memcmp(head, "PK\3\4", 4) == 0)
        return torch_zip_open(c, err);
    code = refuse_others(head, length, err);
    return code == ERR_OK ? torch_legacy_open(c, err) : code;
}

int torch_file_open(struct torch_file **out, const char *path, struct error *err)
{
    struct torch_file *file = calloc(1, sizeof *file);
    if (!file || !(file->path = strdup(path))) {
        free(file);
        return error_set(err, ERR_NO_MEMORY, "no memory to open %s", path);
    }
    struct torch_container *c = &file->container;
    struct stat status;
    c->path = file->path;
    int code = file_open(path, &c->fd, &status, err);
    if (code == ERR_OK) {
        c->size = (uint64_t)status.st_size;
        code = error_prefix(err, read_container(c, err), "%s", path);
    }
    if (code == ERR_OK)
        *out = file;
    else
        torch_file_close(file);
    return code;
}

void torch_container_close(struct torch_container *c)
{
    if (c->zip)
        zip_discard(c->zip);
    if (c->fd >= 0)
        close(c->fd);
    pickle_destroy(&c->pickle);
    free(c->bytes);
    free(c->storages);
}

void torch_file_close(struct torch_file *file)
{
    if (!file)
        return;
    torch_container_close(&file->container);
    free(file->path);
    free(file);
}

const struct pickle_value *torch_file_root(const struct torch_file *file)
{
    return file->container.pickle.root;
}

uint64_t torch_file_size(const struct torch_file *file)
{
    return file->container.size;
}

static int compare_keys(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_storages(const void *a, const void *b)
{
    const struct torch_storage *x = a, *y = b;
    return compare_keys(x->key, x->key_length, y->key, y->key_length);
}

/* ("storage", class, key, device, number of elements, view), where a view is one of a storage that
 * has another key, which PyTorch before 0.2 had; it is None since. */
static int take_storage(const struct pickle_value *id, struct torch_storage *out, struct error *err)
{
    const struct pickle_value *class = pickle_item(id, 1), *key = pickle_item(id, 2);
    const struct pickle_value *view = pickle_item(id, 5);
    if (!pickle_is_text(pickle_item(id, 0), "storage") || !class || class->kind != PICKLE_GLOBAL ||
        class->global->role != PICKLE_STORAGE || !key || key->kind != PICKLE_TEXT ||
        !pickle_size(pickle_item(id, 4), &out->elements))
        return error_set(err, ERR_MODEL_INVALID, "a tensor's numbers are named in an unknown way");
    if (view && view->kind != PICKLE_NONE)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "it has views of storages, of PyTorch before 0.2; load and save it with a "
                         "newer one");
    out->key = key->text;
    out->key_length = key->length;
    out->type = class->global->type;
    return ERR_OK;
}

/* Makes one of storages that are named several times, always in the same way. */
static int merge_storages(struct torch_container *c, struct error *err)
{
    size_t kept = 0;
    qsort(c->storages, c->storage_count, sizeof *c->storages, compare_storages);
    for (size_t i = 0; i < c->storage_count; i++) {
        const struct torch_storage *s = &c->storages[i], *last = &c->storages[kept - (kept > 0)];
        if (kept == 0 || compare_storages(last, s) != 0)
            c->storages[kept++] = *s;
        else if (last->type != s->type || last->elements != s->elements)
            return error_set(err, ERR_MODEL_UNSUPPORTED,
                             "storage %.*s has numbers of two types or sizes", (int)s->key_length,
                             s->key);
    }
    c->storage_count = kept;
    return ERR_OK;
}

int torch_list_storages(struct torch_container *c, struct error *err)
{
    size_t count = 0;
    for (const struct pickle_item *i = c->pickle.persistent; i; i = i->next)
        count++;
    c->storages = calloc(count + 1, sizeof *c->storages);
    if (!c->storages)
        return error_set(err, ERR_NO_MEMORY, "no memory for the list of tensors");
    int code = ERR_OK;
    for (const struct pickle_item *i = c->pickle.persistent; code == ERR_OK && i; i = i->next)
        code = take_storage(i->value->id, &c->storages[c->storage_count++], err);
    return code == ERR_OK ? merge_storages(c, err) : code;
}

struct torch_storage *torch_find_storage(const struct torch_container *c, const char *key,
                                         size_t length)
{
    const struct torch_storage wanted = {.key = key, .key_length = length};
    return bsearch(&wanted, c->storages, c->storage_count, sizeof *c->storages, compare_storages);
}

enum { WRAPPERS = 4 };

/* The arguments of the function that makes the tensor of a subclass; NULL if it makes none. */
static const struct pickle_value *subclass_arguments(const struct pickle_value *object)
{
    const struct pickle_value *function = pickle_item(object->arguments, 0);
    return function && function->kind == PICKLE_GLOBAL && function->global->role == PICKLE_TENSOR
               ? pickle_item(object->arguments, 2)
               : NULL;
}

/* The tensor of a parameter; before PyTorch 0.4 it was in its state. NULL if there is none. */
static const struct pickle_value *parameter_tensor(const struct pickle_value *object)
{
    const struct pickle_value *tensor = pickle_item(object->arguments, 0);
    return tensor ? tensor : pickle_item(object->state, 0);
}

/* The arguments of the function that makes a tensor, perhaps inside a parameter; NULL if the value
 * is none. */
static const struct pickle_value *tensor_arguments(const struct pickle_value *value)
{
    for (int i = 0; value && value->kind == PICKLE_OBJECT && i < WRAPPERS; i++) {
        if (value->global->role == PICKLE_TENSOR)
            return value->arguments;
        if (value->global->role == PICKLE_SUBCLASS)
            return subclass_arguments(value);
        if (value->global->role != PICKLE_PARAMETER)
            return NULL;
        value = parameter_tensor(value);
    }
    return NULL;
}

bool torch_is_tensor(const struct pickle_value *value)
{
    return tensor_arguments(value) != NULL;
}

/* A tuple of sizes; -1 if it is none or has too many. torch.Size is a tuple, too. */
static int take_sizes(const struct pickle_value *value, size_t out[SAFETENSORS_MAX_RANK])
{
    int rank = 0;
    if (value && value->kind == PICKLE_OBJECT)
        value = pickle_item(value->arguments, 0);
    if (!value || value->kind != PICKLE_TUPLE)
        return -1;
    for (const struct pickle_item *i = value->first; i; i = i->next)
        if (rank == SAFETENSORS_MAX_RANK || !pickle_size(i->value, &out[rank++]))
            return -1;
    return rank;
}

/* Counts the elements and the numbers that they span; false if that is beyond the storage. */
static bool measure(struct torch_tensor *t)
{
    size_t end = 1, step, bytes;
    bool fits = true;
    t->elements = 1;
    for (int i = 0; i < t->rank; i++)
        fits = fits && size_mul(t->elements, t->shape[i], &t->elements);
    t->span = 0;
    if (!fits || !size_mul(t->elements, sizeof(double), &bytes))
        return false;
    if (t->elements == 0)
        return true;
    for (int i = 0; i < t->rank; i++)
        fits = fits && size_mul(t->shape[i] - 1, t->stride[i], &step) && size_add(end, step, &end);
    t->span = end;
    return fits && size_add(end, t->offset, &end) && end <= t->storage->elements;
}

int torch_file_tensor(const struct torch_file *file, const struct pickle_value *value,
                      const char *name, struct torch_tensor *out, struct error *err)
{
    const struct pickle_value *arguments = tensor_arguments(value);
    const struct pickle_value *storage = pickle_item(arguments, 0);
    const struct pickle_value *key =
        storage && storage->kind == PICKLE_PERSISTENT ? pickle_item(storage->id, 2) : NULL;
    *out = (struct torch_tensor){0};
    if (pickle_get(pickle_item(arguments, 6), "neg")) /* a view with the other sign */
        key = NULL;
    if (!key || !pickle_size(pickle_item(arguments, 1), &out->offset) ||
        (out->rank = take_sizes(pickle_item(arguments, 2), out->shape)) < 0 ||
        take_sizes(pickle_item(arguments, 3), out->stride) != out->rank)
        return error_set(err, ERR_MODEL_INVALID, "tensor %s is described in an unknown way", name);
    out->storage = torch_find_storage(&file->container, key->text, key->length);
    if (!out->storage || !out->storage->found)
        return error_set(err, ERR_MODEL_INVALID,
                         "the file does not have the numbers of tensor %s (is it complete?)", name);
    out->type = out->storage->type;
    return measure(out) ? ERR_OK
                        : error_set(err, ERR_MODEL_INVALID,
                                    "tensor %s is larger than its storage of %zu numbers", name,
                                    out->storage->elements);
}

static bool is_contiguous(const struct torch_tensor *t)
{
    size_t stride = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != stride)
            return false;
        stride *= t->shape[i];
    }
    return true;
}

/* Number `i` of a storage's bytes, as float32; what float64 has beyond that becomes infinite. */
static float number_at(enum tensor_type type, const unsigned char *bytes, size_t i)
{
    uint32_t bits;
    uint16_t half;
    double real;
    float value;
    if (type == TENSOR_F64) {
        memcpy(&real, bytes + i * sizeof real, sizeof real);
        return (float)real;
    }
    if (type == TENSOR_F32) {
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        return value;
    }
    memcpy(&half, bytes + i * sizeof half, sizeof half);
    bits = type == TENSOR_F16 ? half_widen(half) : (uint32_t)half << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Puts the elements of a view in order. */
static void gather(const struct torch_tensor *t, const unsigned char *bytes, float *out)
{
    size_t index[SAFETENSORS_MAX_RANK] = {0}, at = 0;
    for (size_t n = 0; n < t->elements; n++) {
        out[n] = number_at(t->type, bytes, at);
        for (int i = t->rank - 1; i >= 0; i--) {
            at += t->stride[i];
            if (++index[i] < t->shape[i])
                break;
            at -= t->stride[i] * t->shape[i];
            index[i] = 0;
        }
    }
}

static int read_bytes(struct torch_file *file, const struct torch_tensor *t, void *out,
                      struct error *err)
{
    struct torch_container *c = &file->container;
    size_t each = tensor_type_bytes(t->type);
    int (*read)(struct torch_container *, const struct torch_storage *, size_t, void *, size_t,
                struct error *) = c->zip ? torch_zip_read : torch_legacy_read;
    return read(c, t->storage, t->offset * each, out, t->span * each, err);
}

static int read_view(struct torch_file *file, const struct torch_tensor *t, float *out,
                     struct error *err)
{
    size_t bytes = t->span * tensor_type_bytes(t->type);
    int code = memory_check(bytes, err);
    if (code != ERR_OK)
        return code;
    unsigned char *numbers = malloc(bytes + 1);
    if (!numbers)
        return error_set(err, ERR_NO_MEMORY, "no memory for a tensor");
    code = read_bytes(file, t, numbers, err);
    if (code == ERR_OK)
        gather(t, numbers, out);
    free(numbers);
    return code;
}

int torch_file_read(struct torch_file *file, const struct torch_tensor *tensor, const char *name,
                    float *out, struct error *err)
{
    if (tensor->type > TENSOR_F64)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "%s: tensor %s has type %s; floats are read",
                         file->path, name, tensor_type_name(tensor->type));
    bool plain = tensor->type == TENSOR_F32 && is_contiguous(tensor);
    int code = plain ? read_bytes(file, tensor, out, err) : read_view(file, tensor, out, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "%s: tensor %s", file->path, name);
    size_t bad = first_not_finite(out, tensor->elements);
    if (bad != tensor->elements)
        return error_set(err, ERR_MODEL_INVALID,
                         "%s: tensor %s holds NaN, infinity or a number beyond float32 at index "
                         "%zu",
                         file->path, name, bad);
    return ERR_OK;
}
