#include "model/safetensors.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/number.h"
#include "model/file.h"
#include "model/half.h"
#include "nn/finite.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file format is little-endian");

struct safetensors {
    int fd; /* -1 if none */
    char *path;
    struct stat opened; /* the file as it was when it was opened */
    struct tensor_table table;
};

static int read_header(struct safetensors *file, struct error *err)
{
    uint64_t size = (uint64_t)file->opened.st_size;
    unsigned char prefix[8];
    size_t length = 0;
    if (size < sizeof prefix)
        return error_set(err, ERR_MODEL_INVALID, "the file has only %ju bytes", (uintmax_t)size);
    int code = file_read_at(file->fd, file->path, prefix, sizeof prefix, 0, err);
    if (code == ERR_OK)
        code = tensor_table_header_length(prefix, size, &length, err);
    if (code != ERR_OK)
        return code;
    char *header = malloc(length + 1);
    if (!header)
        return error_set(err, ERR_NO_MEMORY, "no memory for the header");
    code = file_read_at(file->fd, file->path, header, length, sizeof prefix, err);
    if (code == ERR_OK)
        code = tensor_table_parse(&file->table, header, length, size, err);
    free(header);
    return code;
}

int safetensors_open(struct safetensors **out, const char *path, struct error *err)
{
    struct safetensors *file = calloc(1, sizeof *file);
    if (!file)
        return error_set(err, ERR_NO_MEMORY, "no memory to open %s", path);
    file->fd = -1;
    file->path = strdup(path);
    int code = file->path ? file_open(path, &file->fd, &file->opened, err)
                          : error_set(err, ERR_NO_MEMORY, "no memory to open %s", path);
    if (code == ERR_OK)
        code = error_prefix(err, read_header(file, err), "%s", path);
    if (code == ERR_OK)
        *out = file;
    else
        safetensors_close(file);
    return code;
}

void safetensors_close(struct safetensors *file)
{
    if (!file)
        return;
    tensor_table_destroy(&file->table);
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file);
}

const struct tensor_table *safetensors_tensors(const struct safetensors *file)
{
    return &file->table;
}

/* The 16-bit values lie in the upper half of `out`, so that going upwards no value is overwritten
 * before it is read. */
static void widen(enum tensor_type type, float *out, size_t count)
{
    const unsigned char *in = (const unsigned char *)out + 2 * count;
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, in + 2 * i, sizeof half);
        uint32_t bits = type == TENSOR_F16 ? half_widen(half) : (uint32_t)half << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}

int safetensors_read(const struct safetensors *file, const struct tensor_info *tensor, float *out,
                     struct error *err)
{
    CHECK(tensor->type < TENSOR_READABLE);
    size_t skip = tensor->elements * sizeof *out - tensor->bytes;
    int code = file_read_at(file->fd, file->path, (unsigned char *)out + skip, tensor->bytes,
                            file->table.data_start + tensor->begin, err);
    if (code != ERR_OK)
        return code;
    if (tensor->type != TENSOR_F32)
        widen(tensor->type, out, tensor->elements);
    size_t bad = first_not_finite(out, tensor->elements);
    if (bad != tensor->elements)
        return error_set(err, ERR_MODEL_INVALID, "%s: tensor %s holds NaN or infinity at index %zu",
                         file->path, tensor->stored, bad);
    return ERR_OK;
}

static int check_unchanged(const struct safetensors *file, struct error *err)
{
    struct stat now;
    if (fstat(file->fd, &now) != 0)
        return error_set(err, ERR_IO, "cannot examine %s: %s", file->path, strerror(errno));
    const struct timespec *a = &file->opened.st_mtim, *b = &now.st_mtim;
    if (now.st_size != file->opened.st_size || a->tv_sec != b->tv_sec || a->tv_nsec != b->tv_nsec)
        return error_set(err, ERR_IO, "%s changed while it was read; try again", file->path);
    return ERR_OK;
}

int safetensors_sha256(const struct safetensors *file, char text[SAFETENSORS_SHA256_TEXT],
                       struct error *err)
{
    enum { PIECE = 128 << 10 };
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];
    uint8_t *piece = malloc(PIECE);
    if (!piece)
        return error_set(err, ERR_NO_MEMORY, "no memory to read %s", file->path);
    sha256_init(&sha);
    int code = ERR_OK;
    uint64_t size = (uint64_t)file->opened.st_size;
    for (uint64_t at = 0; code == ERR_OK && at < size; at += PIECE) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        code = file_read_at(file->fd, file->path, piece, n, at, err);
        if (code == ERR_OK)
            sha256_update(&sha, n, piece);
    }
    free(piece);
    if (code == ERR_OK)
        code = check_unchanged(file, err);
    sha256_digest(&sha, sizeof digest, digest);
    hex_print(text, digest, sizeof digest);
    return code;
}
