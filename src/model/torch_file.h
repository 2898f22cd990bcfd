/* Files of torch.save: the zip archives since PyTorch 1.6, and the older form. Tensors are read;
 * nothing is executed (model/pickle.h). Nothing in the file is trusted. One thread at a time. */
#ifndef RESNEXT_MODEL_TORCH_FILE_H
#define RESNEXT_MODEL_TORCH_FILE_H

#include "base/error.h"
#include "model/pickle.h"

struct torch_file;

/* A view of the numbers of a storage: element i0, i1, ... is number offset + i0 * stride[0] + i1 *
 * stride[1] + ... of it. All of them are in the storage. */
struct torch_tensor {
    const struct torch_storage *storage;
    enum tensor_type type;
    int rank;
    size_t shape[SAFETENSORS_MAX_RANK], stride[SAFETENSORS_MAX_RANK];
    size_t offset;
    size_t elements; /* the product of `shape` */
    size_t span;     /* from the first number to the last, 0 without elements */
};

/* Opens a file and reads its pickle. Files of other programs and of other kinds (TorchScript, HDF5,
 * ONNX, compressed ones) are refused by name. ERR_IO, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED,
 * ERR_NO_MEMORY; the message names the file. */
int torch_file_open(struct torch_file **out, const char *path, struct error *err);
void torch_file_close(struct torch_file *file);

/* What was saved. It lives as long as the file is open. */
const struct pickle_value *torch_file_root(const struct torch_file *file);

/* The size of the file in bytes. */
uint64_t torch_file_size(const struct torch_file *file);

/* Whether a value, which may be NULL, is a tensor or parameter. */
bool torch_is_tensor(const struct pickle_value *value);

/* Describes a tensor and checks that its storage has all of it. `name` is for messages.
 * ERR_MODEL_INVALID. */
int torch_file_tensor(const struct torch_file *file, const struct pickle_value *value,
                      const char *name, struct torch_tensor *out, struct error *err);

/* Reads a tensor of floating-point type, in row-major order, as float32: out[tensor->elements].
 * ERR_IO, ERR_MODEL_INVALID if a number is not finite or beyond float32, or if the file is damaged;
 * ERR_MODEL_UNSUPPORTED (integers), ERR_NO_MEMORY. */
int torch_file_read(struct torch_file *file, const struct torch_tensor *tensor, const char *name,
                    float *out, struct error *err);

#endif
