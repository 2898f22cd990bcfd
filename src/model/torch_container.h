/* The two containers of torch.save: where the bytes of the pickle and of each storage are. */
#ifndef RESNEXT_MODEL_TORCH_CONTAINER_H
#define RESNEXT_MODEL_TORCH_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/pickle.h"

/* The numbers of tensors. */
struct torch_storage {
    const char *key; /* in the pickle, without a NUL */
    size_t key_length;
    enum tensor_type type;
    size_t elements;
    bool found;
    uint64_t place; /* the entry of the zip, or the offset of the older file */
};

struct torch_container {
    const char *path;
    int fd;
    uint64_t size;
    struct zip *zip; /* NULL: the older form */
    size_t top;      /* length of the zip's folder with its slash, as in "archive/" */
    const char *folder;
    unsigned char *bytes; /* the pickle, or the beginning of the older file */
    size_t length;
    struct pickle pickle;
    struct torch_storage *storages; /* sorted by key */
    size_t storage_count;
};

/* Both read the pickle, list the storages that it names, and find those. ERR_IO, ERR_MODEL_INVALID,
 * ERR_MODEL_UNSUPPORTED, ERR_NO_MEMORY. `c` has path, fd and size. The caller calls
 * torch_container_close on failure, too. */
int torch_zip_open(struct torch_container *c, struct error *err);
int torch_legacy_open(struct torch_container *c, struct error *err);
void torch_container_close(struct torch_container *c);

/* Lists the storages of c->pickle. */
int torch_list_storages(struct torch_container *c, struct error *err);

/* NULL if there is none with this key. */
struct torch_storage *torch_find_storage(const struct torch_container *c, const char *key,
                                         size_t length);

/* Reads `length` bytes of a storage from byte `begin` of it; they are in it. ERR_IO,
 * ERR_MODEL_INVALID if a checksum is wrong. */
int torch_zip_read(struct torch_container *c, const struct torch_storage *storage, size_t begin,
                   void *out, size_t length, struct error *err);
int torch_legacy_read(struct torch_container *c, const struct torch_storage *storage, size_t begin,
                      void *out, size_t length, struct error *err);

#endif
