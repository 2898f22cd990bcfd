/* Files in safetensors format, read by strict rules: a header of at most 1 MiB of valid JSON, no
 * name twice; the tensors cover the rest of the file without gap or overlap; the bytes of each are
 * its shape times its type; no value is NaN or infinite. Nothing in the file is trusted. */
#ifndef RESNEXT_MODEL_SAFETENSORS_H
#define RESNEXT_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Types below TENSOR_READABLE can be read. Tensors of the other types may be in a file if nobody
 * reads them.
 */
enum tensor_type {
    TENSOR_F32,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_READABLE,
    TENSOR_F64 = TENSOR_READABLE,
    TENSOR_I64,
    TENSOR_I32,
    TENSOR_I16,
    TENSOR_I8,
    TENSOR_U64,
    TENSOR_U32,
    TENSOR_U16,
    TENSOR_U8,
    TENSOR_BOOL,
    TENSOR_F8_E4M3,
    TENSOR_F8_E5M2,
};

enum {
    SAFETENSORS_MAX_HEADER = 1 << 20,
    SAFETENSORS_MAX_TENSORS = 8192,
    SAFETENSORS_MAX_RANK = 8,
    SAFETENSORS_NAME_MAX = 128,
    SAFETENSORS_SHAPE_TEXT = 160,
    SAFETENSORS_SHA256_TEXT = 65,
};

struct tensor_info {
    char name[SAFETENSORS_NAME_MAX];   /* printable ASCII */
    char stored[SAFETENSORS_NAME_MAX]; /* the name in the file, for messages */
    enum tensor_type type;
    int rank;
    size_t shape[SAFETENSORS_MAX_RANK];
    size_t elements; /* the product of `shape` */
    size_t begin;    /* the first byte, from the end of the header */
    size_t bytes;
};

/* Whose names a file's tensors had; they are renamed to torchvision's (model/tensor_names.h). */
enum tensor_naming { NAMING_TORCHVISION, NAMING_LEGACY_SENET, NAMING_HUGGING_FACE };

/* The tensors of a file, sorted by name. */
struct tensor_table {
    struct tensor_info *tensors;
    size_t count;
    enum tensor_naming naming;
    uint64_t data_start; /* where in the file the tensors' bytes begin */
};

/* The name of a type in the header: "F32", "BF16", ... */
const char *tensor_type_name(enum tensor_type type);

/* Bytes of one element. */
size_t tensor_type_bytes(enum tensor_type type);

/* "[64, 3, 7, 7]", cut if it is longer; returns `text`. */
const char *tensor_shape_text(const struct tensor_info *tensor, char text[SAFETENSORS_SHAPE_TEXT]);

/* Reads the length of the header from the 8 bytes before it, in a file of `file_size` bytes.
 * ERR_MODEL_INVALID. */
int tensor_table_header_length(const unsigned char prefix[8], uint64_t file_size, size_t *length,
                               struct error *err);

/* Parses a header of `length` bytes of a file of `file_size` bytes, and renames the tensors. After
 * ERR_OK the caller destroys `*out`. ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED (an unknown type, or
 * names as in tensor_names_rename), ERR_NO_MEMORY; the message names the tensor. */
int tensor_table_parse(struct tensor_table *out, const char *header, size_t length,
                       uint64_t file_size, struct error *err);
void tensor_table_destroy(struct tensor_table *table);

/* Sorts the tensors by name, as tensor_table_find needs them. */
void tensor_table_sort(struct tensor_table *table);

/* NULL if there is no tensor of this name. */
const struct tensor_info *tensor_table_find(const struct tensor_table *table, const char *name);

/* An open file. One thread at a time. */
struct safetensors;
int safetensors_open(struct safetensors **out, const char *path, struct error *err);
void safetensors_close(struct safetensors *file);
const struct tensor_table *safetensors_tensors(const struct safetensors *file);

/* Reads a tensor of floating-point type as float32, out[tensor->elements]. ERR_IO,
 * ERR_MODEL_INVALID if a value is not finite. */
int safetensors_read(const struct safetensors *file, const struct tensor_info *tensor, float *out,
                     struct error *err);

/* The SHA-256 of the whole file in lower-case hexadecimal. ERR_IO, also if the file has changed
 * since it was opened: called after the last read, it makes sure that the sum is that of the
 * weights. */
int safetensors_sha256(const struct safetensors *file, char text[SAFETENSORS_SHA256_TEXT],
                       struct error *err);

/* Writes a new file. safetensors_writer_create writes the header for `count` tensors, of which it
 * uses name, type, rank and shape. safetensors_writer_put appends values, in the same order and in
 * pieces of any size. ERR_IO, also if the file exists; ERR_NO_MEMORY.
 */
struct safetensors_writer;
int safetensors_writer_create(struct safetensors_writer **out, const char *path,
                              const struct tensor_info *tensors, size_t count, struct error *err);
int safetensors_writer_put(struct safetensors_writer *writer, const void *bytes, size_t length,
                           struct error *err);

/* Syncs the file to disk and frees the writer, on failure too. ERR_IO, ERR_INTERNAL if fewer or
 * more bytes were put than the header announces. */
int safetensors_writer_finish(struct safetensors_writer *writer, struct error *err);

/* Gives up: closes and removes the file. NULL is fine. */
void safetensors_writer_abort(struct safetensors_writer *writer);

#endif
