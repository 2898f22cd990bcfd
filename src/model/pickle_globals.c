#include <string.h>

#include "model/pickle.h"

#define SAVE_ALONE                                                                                 \
    "nothing of the file was run; if you trust it, save the tensors alone, in Python: "            \
    "torch.save(model.state_dict(), FILE)"

/* All that torch.save and the usual training programs need for tensors and settings. */
static const struct pickle_global globals[] = {
    {"collections.OrderedDict", PICKLE_MAPPING, 0},
    {"collections.defaultdict", PICKLE_MAPPING, 0},
    {"collections.Counter", PICKLE_MAPPING, 0},
    {"lightning.fabric.utilities.data.AttributeDict", PICKLE_MAPPING, 0},
    {"lightning_fabric.utilities.data.AttributeDict", PICKLE_MAPPING, 0},
    {"pytorch_lightning.utilities.parsing.AttributeDict", PICKLE_MAPPING, 0},
    {"argparse.Namespace", PICKLE_NAMESPACE, 0},
    {"torch._utils._rebuild_tensor_v2", PICKLE_TENSOR, 0},
    {"torch._utils._rebuild_tensor", PICKLE_TENSOR, 0},
    {"torch._utils._rebuild_parameter", PICKLE_PARAMETER, 0},
    {"torch._utils._rebuild_parameter_with_state", PICKLE_PARAMETER, 0},
    {"torch._tensor._rebuild_from_type_v2", PICKLE_SUBCLASS, 0},
    {"torch.FloatStorage", PICKLE_STORAGE, TENSOR_F32},
    {"torch.HalfStorage", PICKLE_STORAGE, TENSOR_F16},
    {"torch.BFloat16Storage", PICKLE_STORAGE, TENSOR_BF16},
    {"torch.DoubleStorage", PICKLE_STORAGE, TENSOR_F64},
    {"torch.LongStorage", PICKLE_STORAGE, TENSOR_I64},
    {"torch.IntStorage", PICKLE_STORAGE, TENSOR_I32},
    {"torch.ShortStorage", PICKLE_STORAGE, TENSOR_I16},
    {"torch.CharStorage", PICKLE_STORAGE, TENSOR_I8},
    {"torch.ByteStorage", PICKLE_STORAGE, TENSOR_U8},
    {"torch.BoolStorage", PICKLE_STORAGE, TENSOR_BOOL},
    {"torch.storage.UntypedStorage", PICKLE_STORAGE, TENSOR_U8},
    {"torch.Tensor", PICKLE_DATA, 0},
    {"torch.nn.parameter.Parameter", PICKLE_PARAMETER, 0},
    {"torch.nn.parameter.Buffer", PICKLE_DATA, 0},
    {"torch.Size", PICKLE_DATA, 0},
    {"torch.device", PICKLE_DATA, 0},
    {"torch.serialization._get_layout", PICKLE_DATA, 0},
    {"torch.float32", PICKLE_DATA, 0},
    {"torch.float16", PICKLE_DATA, 0},
    {"torch.bfloat16", PICKLE_DATA, 0},
    {"torch.float64", PICKLE_DATA, 0},
    {"torch.int64", PICKLE_DATA, 0},
    {"torch.int32", PICKLE_DATA, 0},
    {"torch.int16", PICKLE_DATA, 0},
    {"torch.int8", PICKLE_DATA, 0},
    {"torch.uint8", PICKLE_DATA, 0},
    {"torch.bool", PICKLE_DATA, 0},
    {"numpy.dtype", PICKLE_DATA, 0},
    {"numpy.ndarray", PICKLE_DATA, 0},
    {"numpy.core.multiarray.scalar", PICKLE_DATA, 0},
    {"numpy.core.multiarray._reconstruct", PICKLE_DATA, 0},
    {"numpy._core.multiarray.scalar", PICKLE_DATA, 0},
    {"numpy._core.multiarray._reconstruct", PICKLE_DATA, 0},
    {"pathlib.Path", PICKLE_DATA, 0},
    {"pathlib.PosixPath", PICKLE_DATA, 0},
    {"pathlib.WindowsPath", PICKLE_DATA, 0},
    {"pathlib._local.PosixPath", PICKLE_DATA, 0},
    {"pathlib._local.WindowsPath", PICKLE_DATA, 0},
    {"datetime.datetime", PICKLE_DATA, 0},
    {"datetime.timedelta", PICKLE_DATA, 0},
    {"_codecs.encode", PICKLE_DATA, 0},
    {"builtins.set", PICKLE_DATA, 0},
    {"builtins.frozenset", PICKLE_DATA, 0},
    {"builtins.list", PICKLE_DATA, 0},
    {"builtins.dict", PICKLE_DATA, 0},
    {"builtins.tuple", PICKLE_DATA, 0},
    {"builtins.int", PICKLE_DATA, 0},
    {"builtins.float", PICKLE_DATA, 0},
    {"builtins.str", PICKLE_DATA, 0},
    {"builtins.bytes", PICKLE_DATA, 0},
    {"builtins.bytearray", PICKLE_DATA, 0},
    {"builtins.complex", PICKLE_DATA, 0},
    {"builtins.slice", PICKLE_DATA, 0},
    {"builtins.range", PICKLE_DATA, 0},
};

/* Tensors of kinds that no network here has. */
static const struct {
    const char *name, *what;
} refused[] = {
    {"torch._utils._rebuild_qtensor", "a quantized tensor"},
    {"torch._utils._rebuild_sparse_tensor", "a sparse tensor"},
    {"torch._utils._rebuild_sparse_csr_tensor", "a sparse tensor"},
    {"torch._utils._rebuild_nested_tensor", "a nested tensor"},
    {"torch._utils._rebuild_tensor_v3", "a tensor of a rare type, such as float8"},
    {"torch._utils._rebuild_meta_tensor_no_storage", "a tensor without numbers"},
    {"torch.QInt8Storage", "quantized numbers"},
    {"torch.QUInt8Storage", "quantized numbers"},
    {"torch.QInt32Storage", "quantized numbers"},
    {"torch.ComplexFloatStorage", "complex numbers"},
    {"torch.ComplexDoubleStorage", "complex numbers"},
};

/* Protocol 2 has the name of Python 2. */
static const char builtins[] = "builtins", old_builtins[] = "__builtin__";

static bool equals(const char *wanted, const char *module, size_t module_length, const char *name,
                   size_t length)
{
    return strlen(wanted) == module_length + 1 + length &&
           memcmp(wanted, module, module_length) == 0 && wanted[module_length] == '.' &&
           memcmp(wanted + module_length + 1, name, length) == 0;
}

static void refuse(const char *module, size_t module_length, const char *name, size_t length,
                   struct error *err)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (equals(refused[i].name, module, module_length, name, length)) {
            error_set(err, ERR_MODEL_UNSUPPORTED,
                      "%s, for %s, is not read; convert the network to float32 before it is saved",
                      refused[i].name, refused[i].what);
            return;
        }
    error_set(err, ERR_MODEL_UNSUPPORTED,
              "it asks for %.*s.%.*s, which is none of the names that are read; " SAVE_ALONE,
              (int)(module_length < 80 ? module_length : 80), module,
              (int)(length < 80 ? length : 80), name);
}

const struct pickle_global *pickle_global_find(const char *module, size_t module_length,
                                               const char *name, size_t length, struct error *err)
{
    if (module_length == strlen(old_builtins) && memcmp(module, old_builtins, module_length) == 0) {
        module = builtins;
        module_length = strlen(builtins);
    }
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++)
        if (equals(globals[i].name, module, module_length, name, length))
            return &globals[i];
    refuse(module, module_length, name, length, err);
    return NULL;
}
