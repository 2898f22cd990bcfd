#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "base/size.h"
#include "model/torch_container.h"

enum { NAME_MAX_BYTES = 512 };

static const char pickle_name[] = "data.pkl";

static int zip_failed(const struct torch_container *c, const char *what, struct error *err)
{
    return error_set(err, ERR_MODEL_INVALID, "%s of the zip cannot be read: %s (is it complete?)",
                     what, zip_strerror(c->zip));
}

/* Opens the archive from a descriptor of its own. */
static int open_archive(struct torch_container *c, struct error *err)
{
    int reason = 0, fd = dup(c->fd);
    if (fd < 0)
        return error_set(err, ERR_IO, "cannot open it: %s", strerror(errno));
    c->zip = zip_fdopen(fd, 0, &reason);
    if (c->zip)
        return ERR_OK;
    zip_error_t error;
    zip_error_init_with_code(&error, reason);
    int code =
        error_set(err, reason == ZIP_ER_MEMORY ? ERR_NO_MEMORY : ERR_MODEL_INVALID,
                  "the zip archive is damaged: %s (is it complete?)", zip_error_strerror(&error));
    zip_error_fini(&error);
    close(fd);
    return code;
}

/* The entry with the pickle: that in a folder at the top. */
static int find_pickle(struct torch_container *c, zip_int64_t *index, struct error *err)
{
    zip_int64_t count = zip_get_num_entries(c->zip, 0);
    for (*index = 0; *index < count; ++*index) {
        const char *name = zip_get_name(c->zip, (zip_uint64_t)*index, ZIP_FL_ENC_RAW);
        const char *slash = name ? strchr(name, '/') : NULL;
        if (slash && strcmp(slash + 1, pickle_name) == 0) {
            c->folder = name;
            c->top = (size_t)(slash + 1 - name);
            return c->top < NAME_MAX_BYTES / 2
                       ? ERR_OK
                       : error_set(err, ERR_MODEL_INVALID, "a name in the zip is too long");
        }
    }
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "it is a zip without %s, so that torch.save did not make it", pickle_name);
}

/* The entry NAME of the archive's folder; -1 if there is none. */
static zip_int64_t find_entry(const struct torch_container *c, const char *folder, const char *name,
                              size_t length)
{
    char path[NAME_MAX_BYTES];
    if (length > NAME_MAX_BYTES / 4)
        return -1;
    snprintf(path, sizeof path, "%.*s%s%.*s", (int)c->top, c->folder, folder, (int)length, name);
    return strlen(path) == c->top + strlen(folder) + length
               ? zip_name_locate(c->zip, path, ZIP_FL_ENC_RAW)
               : -1;
}

static bool has_entry(const struct torch_container *c, const char *name)
{
    return find_entry(c, "", name, strlen(name)) >= 0;
}

/* The size of an entry, which must lie in the file as it is. */
static int entry_size(const struct torch_container *c, zip_uint64_t index, size_t *size,
                      struct error *err)
{
    zip_stat_t stat;
    const zip_uint64_t wanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(c->zip, index, 0, &stat) != 0 || (stat.valid & wanted) != wanted)
        return zip_failed(c, "an entry", err);
    if (stat.comp_method != ZIP_CM_STORE ||
        (stat.valid & ZIP_STAT_ENCRYPTION_METHOD && stat.encryption_method != ZIP_EM_NONE))
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "%.80s in the zip is compressed or encrypted, which torch.save never does",
                         stat.name);
    if (stat.size > c->size || stat.comp_size != stat.size)
        return error_set(err, ERR_MODEL_INVALID,
                         "%.80s in the zip claims %ju bytes of a file of %ju", stat.name,
                         (uintmax_t)stat.size, (uintmax_t)c->size);
    *size = (size_t)stat.size;
    return ERR_OK;
}

/* Reads on; at the end of an entry that was read from its start, libzip compares the checksum. */
static int read_entry(struct torch_container *c, zip_uint64_t index, size_t begin, void *out,
                      size_t length, struct error *err)
{
    char end;
    size_t got = 0;
    zip_file_t *file = zip_fopen_index(c->zip, index, 0);
    if (!file)
        return zip_failed(c, "an entry", err);
    bool right = begin == 0 || zip_fseek(file, (zip_int64_t)begin, SEEK_SET) == 0;
    for (zip_int64_t n = 1; right && got < length && n > 0; got += n > 0 ? (size_t)n : 0)
        n = zip_fread(file, (char *)out + got, length - got);
    right = right && got == length && zip_fread(file, &end, 1) >= 0;
    int code = right ? ERR_OK
                     : error_set(err, ERR_MODEL_INVALID,
                                 "an entry of the zip is damaged: %s; fetch or save the file again",
                                 zip_file_strerror(file));
    zip_fclose(file);
    return code;
}

static int read_pickle(struct torch_container *c, zip_uint64_t index, struct error *err)
{
    int code = entry_size(c, index, &c->length, err);
    if (code != ERR_OK)
        return code;
    if (c->length > PICKLE_MAX_BYTES)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "its %s has %zu bytes; at most %d are read",
                         pickle_name, c->length, PICKLE_MAX_BYTES);
    c->bytes = malloc(c->length + 1);
    if (!c->bytes)
        return error_set(err, ERR_NO_MEMORY, "no memory for %s", pickle_name);
    code = read_entry(c, index, 0, c->bytes, c->length, err);
    return code == ERR_OK ? pickle_read(&c->pickle, c->bytes, c->length, err) : code;
}

static int check_byte_order(struct torch_container *c, struct error *err)
{
    char order[4] = "";
    size_t size;
    zip_int64_t index = find_entry(c, "", "byteorder", strlen("byteorder"));
    int code = index < 0 ? ERR_OK : entry_size(c, (zip_uint64_t)index, &size, err);
    if (code != ERR_OK || index < 0)
        return code;
    code = read_entry(c, (zip_uint64_t)index, 0, order, size < 3 ? size : 3, err);
    if (code != ERR_OK || strcmp(order, "lit") == 0)
        return code;
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "its numbers are not little-endian (byteorder); save it on a common machine");
}

static int find_storages(struct torch_container *c, struct error *err)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < c->storage_count; i++) {
        struct torch_storage *s = &c->storages[i];
        size_t size, wanted;
        zip_int64_t index = find_entry(c, "data/", s->key, s->key_length);
        if (index < 0)
            continue;
        code = entry_size(c, (zip_uint64_t)index, &size, err);
        s->place = (uint64_t)index;
        s->found = code == ERR_OK;
        if (code == ERR_OK &&
            (!size_mul(s->elements, tensor_type_bytes(s->type), &wanted) || wanted != size))
            code =
                error_set(err, ERR_MODEL_INVALID,
                          "data/%.*s has %zu bytes, which are not %zu numbers of type %s",
                          (int)s->key_length, s->key, size, s->elements, tensor_type_name(s->type));
    }
    return code;
}

int torch_zip_open(struct torch_container *c, struct error *err)
{
    zip_int64_t index;
    int code = open_archive(c, err);
    if (code == ERR_OK)
        code = find_pickle(c, &index, err);
    if (code != ERR_OK)
        return code;
    if (has_entry(c, "constants.pkl"))
        return error_set(
            err, ERR_MODEL_UNSUPPORTED,
            "it is a TorchScript archive, a program; save the tensors alone, in Python: "
            "torch.save(torch.jit.load(FILE).state_dict(), \"weights.pth\")");
    code = check_byte_order(c, err);
    if (code == ERR_OK)
        code = read_pickle(c, (zip_uint64_t)index, err);
    if (code == ERR_OK)
        code = torch_list_storages(c, err);
    return code == ERR_OK ? find_storages(c, err) : code;
}

int torch_zip_read(struct torch_container *c, const struct torch_storage *storage, size_t begin,
                   void *out, size_t length, struct error *err)
{
    return read_entry(c, storage->place, begin, out, length, err);
}
