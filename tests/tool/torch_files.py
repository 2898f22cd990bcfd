"""Files as torch.save writes them, without PyTorch: the pickle module, with stand-ins for its classes."""
import argparse
import collections
import io
import pickle
import struct
import sys
import types
import zipfile

TYPES = {"F32": ("FloatStorage", 4), "F16": ("HalfStorage", 2), "BF16": ("BFloat16Storage", 2),
         "F64": ("DoubleStorage", 8), "I64": ("LongStorage", 8)}


def module(name):
    """A module that pickles may name, with those that it is in."""
    if "." in name:
        module(name.rsplit(".", 1)[0])
    if name not in sys.modules:
        sys.modules[name] = types.ModuleType(name)
    return sys.modules[name]


def named(name, thing):
    """Gives a function or class the place and name that a pickle has for it."""
    where, thing.__qualname__ = name.rsplit(".", 1)
    thing.__module__, thing.__name__ = where, thing.__qualname__
    setattr(module(where), thing.__name__, thing)
    return thing


def function(name):
    return named(name, lambda *arguments: None)


REBUILD = function("torch._utils._rebuild_tensor_v2")
PARAMETER = function("torch._utils._rebuild_parameter")
CLASSES = {kind: named("torch." + name, type(name, (), {})) for kind, (name, _) in TYPES.items()}


class Storage:
    count = 0

    def __init__(self, kind, data):
        self.kind, self.data, self.numbers = kind, data, len(data) // TYPES[kind][1]
        self.key = str(Storage.count)
        Storage.count += 1


class Called:
    """What a pickle asks to be called: made by REDUCE, then BUILD with a state."""

    def __init__(self, what, arguments=(), state=None):
        self.reduced = (what, tuple(arguments), state)

    def __reduce__(self):
        return self.reduced


class Tensor(Called):
    def __init__(self, storage, shape, stride=None, offset=0):
        if stride is None:
            stride, step = [], 1
            for n in reversed(shape):
                stride.insert(0, step)
                step *= n
        super().__init__(REBUILD, (storage, offset, tuple(shape), tuple(stride), False,
                                   collections.OrderedDict()))


def tensor(shape, data, kind="F32"):
    return Tensor(Storage(kind, data), shape)


class Pickler(pickle._Pickler):  # pylint: disable=protected-access
    """Collects the storages; `view` is the sixth word that the older form has."""

    def __init__(self, file, protocol, view):
        super().__init__(file, protocol)
        self.view, self.storages = view, {}

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        self.storages[obj.key] = obj
        return ("storage", CLASSES[obj.kind], obj.key, "cpu", obj.numbers) + self.view


def dump(thing, protocol=2, view=()):
    """(the bytes of a pickle, its storages)"""
    file = io.BytesIO()
    pickler = Pickler(file, protocol, view)
    pickler.dump(thing)
    return file.getvalue(), pickler.storages


def archive(entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, data in entries:
            out.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def new(thing, protocol=2, top="archive", more=()):
    """The zip archive of PyTorch since 1.6."""
    text, storages = dump(thing, protocol)
    return archive([(f"{top}/data.pkl", text), *((f"{top}/{name}", data) for name, data in more),
                    *((f"{top}/data/{key}", s.data) for key, s in storages.items()),
                    (f"{top}/version", "3\n")])


def old(thing, protocol=2):
    """The form before."""
    text, storages = dump(thing, protocol, (None,))
    machine = {"protocol_version": 1001, "little_endian": True,
               "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(x, protocol)
                    for x in (0x1950a86a20f9469cfc6c, 1001, machine))
    keys = sorted(storages)
    return (head + text + pickle.dumps(keys, protocol) +
            b"".join(struct.pack("<q", storages[k].numbers) + storages[k].data for k in keys))


def state_dict(header, data):
    """The tensors of a safetensors file, with the counters that PyTorch saves beside them."""
    found = collections.OrderedDict()
    for name, info in header.items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        found[name] = tensor(info["shape"], data[begin:end], info["dtype"])
        if name.endswith("running_var"):
            found[name.replace("running_var", "num_batches_tracked")] = tensor([], bytes(8), "I64")
    return found


def namespace(**options):
    return argparse.Namespace(**options)
