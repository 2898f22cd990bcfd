#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "model/safetensors.h"
#include "model/strict_json.h"

struct safetensors_writer {
    FILE *file;
    char *path;
    uint64_t announced, written;
};

static void writer_free(struct safetensors_writer *writer)
{
    if (writer->file)
        fclose(writer->file);
    free(writer->path);
    free(writer);
}

static int write_failed(const struct safetensors_writer *writer, struct error *err)
{
    return error_set(err, ERR_IO, "cannot write %s: %s", writer->path, strerror(errno));
}

/* Adds one entry, with its bytes from `begin`; returns where they end. */
static uint64_t describe(json_t *root, const struct tensor_info *tensor, uint64_t begin)
{
    uint64_t bytes = tensor_type_bytes(tensor->type);
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++) {
        bytes *= tensor->shape[i];
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    }
    uint64_t end = begin + bytes;
    json_object_set_new(root, tensor->name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor_type_name(tensor->type),
                                  "shape", shape, "data_offsets", (json_int_t)begin,
                                  (json_int_t)end));
    return end;
}

/* The length, then the header, padded to a multiple of 8 bytes. */
static int put_header(struct safetensors_writer *writer, const struct tensor_info *tensors,
                      size_t count, struct error *err)
{
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    for (size_t i = 0; i < count; i++)
        writer->announced = describe(root, &tensors[i], writer->announced);
    char *text = json_object_size(root) == count + 1 ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text)
        return error_set(err, ERR_NO_MEMORY, "no memory for the header of %s", writer->path);
    uint64_t length = size_round_up(strlen(text), sizeof length);
    bool put = fwrite(&length, sizeof length, 1, writer->file) == 1 &&
               fprintf(writer->file, "%-*s", (int)length, text) == (int)length;
    free(text);
    return put ? ERR_OK : write_failed(writer, err);
}

int safetensors_writer_create(struct safetensors_writer **out, const char *path,
                              const struct tensor_info *tensors, size_t count, struct error *err)
{
    struct safetensors_writer *writer = calloc(1, sizeof *writer);
    int code = writer && (writer->path = strdup(path))
                   ? ERR_OK
                   : error_set(err, ERR_NO_MEMORY, "no memory to write %s", path);
    if (code == ERR_OK && !(writer->file = fopen(path, "wxe")))
        code = write_failed(writer, err);
    if (code == ERR_OK)
        code = put_header(writer, tensors, count, err);
    if (code == ERR_OK)
        *out = writer;
    else
        safetensors_writer_abort(writer);
    return code;
}

int safetensors_writer_put(struct safetensors_writer *writer, const void *bytes, size_t length,
                           struct error *err)
{
    writer->written += length;
    if (fwrite(bytes, 1, length, writer->file) != length)
        return write_failed(writer, err);
    return ERR_OK;
}

int safetensors_writer_finish(struct safetensors_writer *writer, struct error *err)
{
    int code = ERR_OK;
    if (writer->written != writer->announced)
        code = error_set(err, ERR_INTERNAL, "%s: %ju bytes put, %ju announced", writer->path,
                         (uintmax_t)writer->written, (uintmax_t)writer->announced);
    else if (fflush(writer->file) != 0 || fsync(fileno(writer->file)) != 0)
        code = write_failed(writer, err);
    if (code != ERR_OK) {
        safetensors_writer_abort(writer);
        return code;
    }
    writer_free(writer);
    return ERR_OK;
}

void safetensors_writer_abort(struct safetensors_writer *writer)
{
    if (!writer)
        return;
    if (writer->file)
        unlink(writer->path);
    writer_free(writer);
}
