#!/usr/bin/python3 -B
"""resnext import: files as PyTorch writes them become the folder that they were made of; files that ask
for anything else are refused, and nothing of them is run."""
import collections
import glob
import itertools
import json
import math
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import zipfile

import torch_files
from torch_files import Called, Storage, Tensor, function, namespace, new, old, tensor

SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
RESNEXT = os.path.join(os.path.abspath(os.environ.get("top_builddir", "build")), "resnext")
sys.path.insert(0, os.path.join(SOURCE, "tests"))
from tap import Tap

TINY = os.path.join(SOURCE, "tests", "data", "tiny-resnet18-style")
CIFAR = os.path.join(SOURCE, "models", "resnext29-cifar10")
PICTURE = os.path.join(SOURCE, "tests", "data", "pictures", "mare.jpg")
LIKE_TINY = ("--size", "72", "--labels", os.path.join(TINY, "labels.txt"))
TIMEOUT = 120


def weights(folder):
    """(header, data) of a folder's model.safetensors."""
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), file.read()


def floats(info, data):
    """The values of a tensor; those of 16 bits are exact in float32."""
    raw = data[slice(*info["data_offsets"])]
    if info["dtype"] == "BF16":
        raw, kind = b"".join(b"\0\0" + raw[i:i + 2] for i in range(0, len(raw), 2)), "f"
    else:
        kind = {"F32": "f", "F16": "e"}[info["dtype"]]
    return struct.unpack(f"<{len(raw) // struct.calcsize(kind)}{kind}", raw)


def numbers(folder):
    """{name: (shape, values)} without counters."""
    header, data = weights(folder)
    return {name: (info["shape"], floats(info, data)) for name, info in header.items()
            if name != "__metadata__" and not name.endswith("num_batches_tracked")}


def tiny():
    return torch_files.state_dict(*weights(TINY))


def resnext(*words):
    return subprocess.run([RESNEXT, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=TIMEOUT, text=True, check=False)


def run(scratch, content, *options):
    """(the finished process, OUT)"""
    path, out = os.path.join(scratch, "file.pth"), os.path.join(scratch, "out")
    with open(path, "wb") as file:
        file.write(content)
    return resnext("import", *options, path, out), out


def good(scratch, content, *options):
    """(lines of output, OUT), which is then removed from the way."""
    done, out = run(scratch, content, *options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    kept = f"{out}-{len(os.listdir(scratch))}"
    os.rename(out, kept)
    return done.stdout.splitlines(), kept


def bad(scratch, content, says, *options, code=1):
    """A run that says why it failed, in one line, and leaves nothing behind."""
    done, out = run(scratch, content, *options)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert says in done.stderr and done.stderr.count("\n") == 1, (says, done.stderr)
    left = [name for name in os.listdir(scratch) if name.startswith(os.path.basename(out) + ".")]
    assert not left and not os.path.exists(out), (left, done.stderr)


def test_both_forms_hold_the_same(scratch):
    for make in (new, old):
        for protocol in (2, 3, 4, 5):
            _, out = good(scratch, make(tiny(), protocol), *LIKE_TINY)
            assert numbers(out) == numbers(TINY), (make, protocol)


def test_a_folder_is_made_that_can_be_served(scratch):
    lines, out = good(scratch, new(tiny()), "--like", "timm", "--interpolation", "bilinear",
                      *LIKE_TINY)
    assert lines == ["taken: the tensors at the root",
                     "assumed: architecture resnet18.variant, by the tensors; no anti-aliasing, "
                     "which they do not show (--architecture)",
                     f"{os.path.join(scratch, 'out')}: resnet18.variant, 20 classes, input 72x72"], lines
    assert "self-test  passed" in resnext("verify", out).stdout
    with open(os.path.join(out, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    assert config["num_classes"] == 20 and len(config["label_names"]) == 20
    assert config["pretrained_cfg"]["resize_size"] == 82, config
    assert sorted(os.listdir(out)) == ["config.json", "model.safetensors"]
    assert os.stat(out).st_mode & 0o777 == 0o777 & ~UMASK


def logits(folder):
    done = resnext("classify", "--json", "--logits", folder, PICTURE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["logits"]


def test_the_logits_are_those_of_the_original(scratch):
    with open(os.path.join(CIFAR, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    picture = config.get("pretrained_cfg", config)
    _, out = good(scratch, new(torch_files.state_dict(*weights(CIFAR))),
                  "--mean", ",".join(map(str, picture["mean"])),
                  "--std", ",".join(map(str, picture["std"])),
                  "--interpolation", picture["interpolation"],
                  "--crop-pct", str(picture["crop_pct"]))
    assert logits(out) == logits(CIFAR)


def test_a_training_checkpoint_says_more(scratch):
    moved = {name: t if "fc.bias" not in name else
             tensor([20], struct.pack("<20f", *range(20))) for name, t in tiny().items()}
    args = namespace(model="resnet18", img_size=72, mean=[0.5, 0.25, 0.125], std=None,
                     interpolation="bicubic", crop_pct=None, opt="sgd", lr=0.1)
    checkpoint = {"epoch": 7, "arch": "resnet18", "state_dict": tiny(),
                  "optimizer": {"state": {0: {"momentum_buffer": tensor([1], bytes(4))}}},
                  "version": 2, "args": args, "state_dict_ema": moved, "metric": 71.5}
    labels = ("--labels", os.path.join(TINY, "labels.txt"))
    lines, out = good(scratch, new(checkpoint), *labels)
    assert lines[:9] == ["taken: state_dict_ema; there is also: state_dict (--key)",
                         "in the checkpoint: architecture resnet18",
                         "by its tensors: architecture resnet18.variant",
                         "assumed: pictures like those of timm (--like)",
                         "in the checkpoint: input size 72",
                         "assumed: short edge resized to 82 (--resize or --crop-pct)",
                         "in the checkpoint: interpolation bicubic",
                         "in the checkpoint: mean 0.5,0.25,0.125",
                         "assumed: std 0.229,0.224,0.225 (--std)"], lines
    assert numbers(out)["fc.bias"][1] == tuple(range(20))
    lines, out = good(scratch, old(checkpoint), "--key", "state_dict", "--size", "64", *labels)
    assert lines[0] == "taken: state_dict; there is also: state_dict_ema (--key)"
    assert lines[-1].endswith("input 64x64") and numbers(out) == numbers(TINY)
    bad(scratch, new(checkpoint), "there is state_dict, state_dict_ema", "--key", "model")
    other = {"state_dict": tiny(), "args": namespace(model="resnet18", val_crop_size=64, val_resize_size=70,
                                                     interpolation="bilinear")}
    lines, out = good(scratch, new(other), *labels)
    assert lines[3:7] == ["assumed: pictures like those of torchvision-v1 (--like)",
                          "in the checkpoint: input size 64",
                          "in the checkpoint: short edge resized to 70",
                          "in the checkpoint: interpolation bilinear"], lines
    other["args"] = namespace(model="vgg16")
    bad(scratch, new(other), "architecture vgg16 is not served; the tensors are those of resnet18.variant")
    good(scratch, new(other), "--architecture", "resnet18", *LIKE_TINY)


def legacy(widths=(4,)):
    """A network of timm's senet module, in its names; in each stage, blocks of these widths."""
    network = {}

    def add(name, *shape):
        network[name] = tensor(list(shape), struct.pack("<f", 0.25) * math.prod(shape))

    def convolve(conv, norm, *shape):
        add(conv + ".weight", *shape)
        for rest in ("weight", "bias", "running_mean", "running_var"):
            add(f"{norm}.{rest}", shape[0])
    convolve("layer0.conv1", "layer0.bn1", 16, 3, 7, 7)
    for stage, (number, width) in itertools.product("1234", enumerate(widths)):
        block = f"layer{stage}.{number}."
        convolve(block + "conv1", block + "bn1", width, 16, 1, 1)
        convolve(block + "conv2", block + "bn2", width, width, 3, 3)
        convolve(block + "conv3", block + "bn3", 16, width, 1, 1)
        if stage > "1" and number == 0:
            convolve(block + "downsample.0", block + "downsample.1", 16, 16, 1, 1)
        for layer, rows, columns in (("fc1", 1, 16), ("fc2", 16, 1)):
            add(f"{block}se_module.{layer}.weight", rows, columns, 1, 1)
            add(f"{block}se_module.{layer}.bias", rows)
    add("last_linear.weight", 5, 16)
    add("last_linear.bias", 5)
    return network


def test_a_legacy_senet_stays_one(scratch):
    """The folder has other names for its tensors."""
    old_name = {"arch": "se_resnet14", "state_dict": legacy()}
    for what in (legacy(), {"arch": "seresnet14", "state_dict": legacy()}, old_name):
        lines, out = good(scratch, new(what))
        assert "assumed: architecture legacy_seresnet14.variant, by the tensors" in lines[1], lines
        assert "no padding" in resnext("info", out).stdout
    for name in ("legacy_seresnet14", "legacy_seresnet14.in1k"):
        _, out = good(scratch, new(old_name), "--architecture", name)
        table = resnext("info", out).stdout
        assert "no padding" in table and "stride on the 1x1" in table, table
    bad(scratch, new(legacy()), "names of a legacy SENet", "--architecture", "seresnet14")


def settings(scratch, *options, **args):
    """(the lines, what config.json says of the pictures) for a checkpoint with these options"""
    lines, out = good(scratch, new({"state_dict": tiny(), "args": namespace(**args)}), *options)
    with open(os.path.join(out, "config.json"), encoding="utf-8") as file:
        return lines, json.load(file)


def test_options_of_the_training_are_kept(scratch):
    _, config = settings(scratch, img_size=96, input_size=[3, 72, 72], mean=[0.5], std=(0.25,), crop_pct=1,
                         crop_mode="squash", interpolation="bilinear", model="hf_hub:timm/resnet18.a1_in1k")
    assert config["architecture"] == "resnet18.a1_in1k", config
    picture = config["pretrained_cfg"]
    assert picture["input_size"] == [3, 72, 72] and picture["crop_mode"] == "squash", picture
    assert picture["mean"] == [0.5] * 3 and picture["std"] == [0.25] * 3, picture
    _, config = settings(scratch, "--size", "64", "--resize", "80", crop_mode="border", img_size=72)
    picture = config["pretrained_cfg"]
    assert picture["input_size"] == [3, 64, 64] and picture["crop_mode"] == "center", picture
    settings(scratch, img_size=72, gp="avg", bn_eps=1e-5, model_kwargs={})
    settings(scratch, "--architecture", "resnet18", img_size=72, model_kwargs={"zero_init_last": True})
    _, config = settings(scratch, val_resize_size=1100, val_crop_size=72)
    assert config["pretrained_cfg"]["resize_size"] == 1100, config


def test_options_that_cannot_be_kept_are_no_assumptions(scratch):
    for key, value, option in (("input_size", [3, 72, 64], "--size"), ("input_size", [72], "--size"),
                               ("img_size", 5000, "--size"), ("img_size", 72.5, "--size"),
                               ("val_crop_size", -1, "--size"), ("crop_mode", "border", "--resize"),
                               ("crop_pct", 1.5, "--crop-pct"), ("val_resize_size", 2 ** 70, "--resize"),
                               ("interpolation", "lanczos", "--interpolation"),
                               ("gp", "max", "--architecture"), ("bn_eps", 1e-3, "--architecture"),
                               ("model_kwargs", {"act_layer": "silu"}, "--architecture"),
                               ("mean", [0.5, 0.5], "--mean"), ("std", "0.5", "--std")):
        content = new({"state_dict": tiny(), "args": namespace(**{key: value})})
        bad(scratch, content, f"{option}")
        bad(scratch, content, "in the checkpoint is not")


def test_only_options_of_timm_mean_pictures_of_timm(scratch):
    """Every training program has options."""
    lines, _ = settings(scratch, "--size", "72", lr=0.1, model="resnet18")
    assert "assumed: pictures like those of torchvision-v1 (--like)" in lines, lines
    lines, _ = settings(scratch, "--size", "72", lr=0.1, model="resnet18", crop_pct=None)
    assert "assumed: pictures like those of timm (--like)" in lines, lines


def test_a_name_is_compared_with_the_tensors(scratch):
    lines, _ = good(scratch, new({"state_dict": tiny(), "arch": "resnext101_32x8d"}), "--size", "72")
    assert "by its tensors: architecture resnet18.variant" in lines, lines
    lines, _ = good(scratch, new(tiny()), "--size", "64", "--architecture", "resnetaa18")
    assert "by its tensors: architecture resnetaa18.variant" in lines, lines
    lines, _ = good(scratch, new(tiny()), "--size", "72", "--architecture", "resnet34")
    assert "by its tensors: architecture resnet18.variant" in lines, lines


def test_a_signal_leaves_no_part(scratch):
    """It comes while the folder is made: OUT is whole, or it is not there."""
    path, out = os.path.join(scratch, "file.pth"), os.path.join(scratch, "out")
    padding = {f"layer1.{i}.num_batches_tracked": tensor([], bytes(8), "I64") for i in range(3000)}
    with open(path, "wb") as file:
        file.write(new({**tiny(), **padding}))
    ends = []
    while -signal.SIGTERM not in ends and len(ends) < 500:
        process = subprocess.Popen([RESNEXT, "import", "--size", "72", path, out], stdout=subprocess.DEVNULL)
        while process.poll() is None and not glob.glob(out + ".*"):
            pass
        process.terminate()
        ends.append(process.wait())
        assert not glob.glob(out + ".*"), ends
        if os.path.exists(out):
            assert sorted(os.listdir(out)) == ["config.json", "model.safetensors"], ends
            shutil.rmtree(out)
    assert -signal.SIGTERM in ends, ends


def test_widths_of_each_block(scratch):
    _, out = good(scratch, new(legacy((6, 4))))
    table = resnext("info", out).stdout
    assert table.count("[ 1x1, 4-6 ]") == table.count("[ 3x3, 4-6 ]") == 4, table


def test_prefixes_and_wrappers_come_off(scratch):
    averaged = {"n_averaged": tensor([], bytes(8), "I64"),
                **{"module." + name: t for name, t in tiny().items()}}
    mapping = torch_files.named("pytorch_lightning.utilities.parsing.AttributeDict",
                                type("AttributeDict", (dict,), {}))
    lightning = {"epoch": 1, "global_step": 9, "pytorch-lightning_version": "2.1.0",
                 "state_dict": {"model." + name: t for name, t in tiny().items()},
                 "loops": {"fit_loop": {"state_dict": {}}}, "hparams_name": "kwargs",
                 "callbacks": {"ModelCheckpoint{}": {"best_model_score": tensor([], bytes(4)),
                                                     "dirpath": "/tmp"}},
                 "hyper_parameters": mapping(lr=0.1)}
    parameters = {name: Called(torch_files.PARAMETER, (t, True, {})) for name, t in tiny().items()}
    python_2 = Called(collections.OrderedDict, ([[name, t] for name, t in tiny().items()],))
    kind = torch_files.named("torch.nn.parameter.Parameter", type("Parameter", (), {}))
    old_ones = {name: Called(kind, (), (t, None, None, True, None)) for name, t in tiny().items()}
    rebuild = function("torch._tensor._rebuild_from_type_v2")
    subclass = {name: Called(rebuild, (torch_files.REBUILD, kind, t.reduced[1], {}))
                for name, t in tiny().items()}
    nested = {"model_ema": {"decay": 0.99, "module": tiny()}, "best_acc1": tensor([], bytes(4))}
    for what in (averaged, {"state_dict": averaged}, lightning, parameters, nested, python_2, old_ones,
                 subclass):
        lines, out = good(scratch, new(what), *LIKE_TINY)
        assert numbers(out) == numbers(TINY), lines


def test_views_are_put_in_order(scratch):
    """All tensors in one storage, convolutions with channels last, float64 and float16."""
    wanted, views, data = numbers(TINY), {}, b""
    shared = Storage("F32", b"")
    for name, (shape, values) in wanted.items():
        if len(shape) == 4:
            o, c, h, w = shape
            values = [values[((i * c + k) * h + y) * w + x]
                      for i in range(o) for y in range(h) for x in range(w) for k in range(c)]
            stride = (c * h * w, 1, w * c, c)
        else:
            stride = None
        views[name] = Tensor(shared, shape, stride, len(data) // 4)
        data += struct.pack(f"<{len(values)}f", *values)
    shared.data, shared.numbers = data, len(data) // 4
    doubles = {name: tensor(shape, struct.pack(f"<{len(v)}d", *v), "F64")
               for name, (shape, v) in wanted.items()}
    for what in (views, doubles):
        for make in (new, old):
            _, out = good(scratch, make(what), *LIKE_TINY)
            assert numbers(out) == wanted


def test_safetensors_without_a_folder(scratch):
    with open(os.path.join(TINY, "model.safetensors"), "rb") as file:
        content = file.read()
    _, out = good(scratch, content, *LIKE_TINY)
    assert numbers(out) == numbers(TINY)
    bad(scratch, content, "without keys", "--key", "model")


def test_labels_in_all_forms(scratch):
    names = [f"name {i}" for i in range(20)]
    forms = ["\n".join(names), json.dumps(names), json.dumps({str(i): n for i, n in enumerate(names)}),
             json.dumps({"id2label": {str(i): n for i, n in enumerate(names)}}), "\ufeff" + json.dumps(names)]
    for number, text in enumerate(forms):
        path = os.path.join(scratch, f"labels{number}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        _, out = good(scratch, new(tiny()), "--size", "72", "--labels", path)
        with open(os.path.join(out, "config.json"), encoding="utf-8") as file:
            assert json.load(file)["label_names"] == names, text
    with open(path, "w", encoding="utf-8") as file:
        file.write("a\nb\n")
    bad(scratch, new(tiny()), "2 names, but the network has 20 classes", "--labels", path)
    for text in (json.dumps(names) + ', "more": 1', "[]", "{}"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        bad(scratch, new(tiny()), "not one list or map of names", "--labels", path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(names) + "\0{")
    bad(scratch, new(tiny()), "contains a NUL", "--labels", path)


def test_wrong_usage(scratch):
    for words in (("--mean", "1,2"), ("--mean", "2,0,0"), ("--std", "0,1,1"), ("--crop-pct", "3"),
                  ("--crop-pct", "0.9", "--resize", "80"), ("--size", "4"), ("--like", "keras")):
        bad(scratch, new(tiny()), words[0], *words, code=2)
    cifar = torch_files.state_dict(*weights(CIFAR))
    bad(scratch, new(cifar), "--mean")
    out = os.path.join(scratch, "out")
    for target in (scratch, "nowhere"):
        os.symlink(target, out)
        done, _ = run(scratch, new(tiny()), *LIKE_TINY)
        assert done.returncode == 1 and "symbolic link" in done.stderr, done.stderr
        os.unlink(out)
    os.mkdir(out)
    done, _ = run(scratch, new(tiny()), *LIKE_TINY)
    assert done.returncode == 0, done.stderr  # an empty folder
    done, _ = run(scratch, new(tiny()), *LIKE_TINY)
    assert done.returncode == 1 and "not empty" in done.stderr, done.stderr


def test_what_is_no_state_dict_is_refused(scratch):
    bad(scratch, new({"a": 1}), "no state dict")
    bad(scratch, new({"0.1.weight": tensor([1], bytes(4)), "9.bias": tensor([1], bytes(4)),
                      "1.weight": tensor([1], bytes(4))}), "one here is 0.1.weight")
    bad(scratch, new([tensor([1], bytes(4))]), "no state dict")
    bad(scratch, new({"a": tiny(), "b": tiny()}), "--key")
    bad(scratch, new({**tiny(), "more.weight": tensor([1], bytes(4))}), "more.weight")
    bad(scratch, new({**tiny(), "fc.bias": tensor([20], bytes(160), "I64")}), "I64")
    nan = struct.pack("<20f", *[0] * 19, float("nan"))
    bad(scratch, new({**tiny(), "fc.bias": tensor([20], nan)}), "NaN")
    huge = struct.pack("<20d", *[0] * 19, 1e300)
    bad(scratch, new({**tiny(), "fc.bias": tensor([20], huge, "F64")}), "beyond float32")
    for content, says in ((b"", "no file of torch.save"), (b"\x89HDF\r\n\x1a\nxxxx", "HDF5"),
                          (b"\x1f\x8b\x08xxxxx", "gzip"), (b"<html><body>", "web page"),
                          (pickle.dumps({"a": bytes(17 << 20)}, 4), "no file of torch.save"), (b"\x08\x07\x12\x07pytorch", "ONNX"),
                          (b"x" * 257 + b"ustar\0" + b"x" * 300, "tar"),
                          (torch_files.archive([("a/b", b"x")]), "without data.pkl"),
                          (new(tiny(), more=[("constants.pkl", b"")]), "TorchScript"),
                          (new(tiny(), more=[("byteorder", b"big")]), "little-endian"),
                          (pickle.dumps({"a": 1}, 2), "no file of torch.save"),
                          (pickle.dumps({"a": 1}, 0), "no file of torch.save")):
        bad(scratch, content, says)


def global_call(module, name, argument, opcode=b"R"):
    """The opcodes that call MODULE.NAME with a text."""
    return b"c%s\n%s\nX%s%s\x85%s" % (module, name, struct.pack("<I", len(argument)), argument, opcode)


def row_94_what_would_be_called_is_refused_by_name(scratch):
    trace = os.path.join(scratch, "trace")
    command = f"touch {trace}".encode()
    text = b"X%s%s" % (struct.pack("<I", len(command)), command)
    programs = {
        "os.system": global_call(b"os", b"system", command),
        "posix.system": global_call(b"posix", b"system", command),
        "builtins.eval": global_call(b"__builtin__", b"eval", command),
        "builtins.exec": global_call(b"builtins", b"exec", command),
        "builtins.getattr": global_call(b"builtins", b"getattr", command),
        "torch.load": global_call(b"torch", b"load", command),
        "subprocess.Popen": global_call(b"subprocess", b"Popen", command, b"\x81"),
        "os.popen": b"\x8c\x02os\x8c\x05popen\x93" + text + b"\x85R",
        "collections.OrderedDict.fromkeys": b"ccollections\nOrderedDict.fromkeys\n" + text + b"\x85R",
        "0x69": b"(" + text + b"ios\nsystem\n",
        "0x6f": b"(ccollections\nOrderedDict\n" + text + b"o",
        "0x82": b"\x82\x01" + text + b"\x85R",
        "0x50": b"Pstorage\n",
        "0x49": b"I01\n",
    }
    for says, program in programs.items():
        nested = b"}X\x01\0\0\0a" + program + b"s"
        state = b"ccollections\nOrderedDict\n)R}X\x0c\0\0\0__setstate__" + program + b"sb"
        inner = b"ctorch._utils\n_rebuild_parameter\n" + program + b"\x85R"
        for body in (program, nested, state, inner):
            for protocol in (2, 4):
                raw = b"\x80%c" % protocol + body + b"."
                whole = torch_files.archive([("archive/data.pkl", raw)])
                bad(scratch, whole, says)
                bad(scratch, old_head() + raw, says)
    for what in (function("os.system"), function("shutil.rmtree"), function("torch.hub.load")):
        for thing in (Called(what, ("x",)), {"state_dict": {**tiny(), "x": Called(what, ("x",))}},
                      {**tiny(), "x": Called(torch_files.PARAMETER, (Called(what, ()), True, {}))}):
            bad(scratch, new(thing), f"{what.__module__}.{what.__name__}")
    assert not os.path.exists(trace)


def old_head():
    return b"".join(pickle.dumps(x, 2) for x in (0x1950a86a20f9469cfc6c, 1001, {}))


def row_94_files_that_lie_are_refused(scratch):
    def with_bias(*arguments, **more):
        return new({**tiny(), "fc.bias": Tensor(*arguments, **more)})
    twenty = Storage("F32", bytes(80))
    bad(scratch, with_bias(twenty, [20], [1], 1), "larger than its storage")
    bad(scratch, with_bias(twenty, [20], [2]), "larger than its storage")
    bad(scratch, with_bias(twenty, [20], [2 ** 62]), "larger than its storage")
    bad(scratch, with_bias(twenty, [20], [1], 2 ** 62), "larger than its storage")
    bad(scratch, with_bias(twenty, [2 ** 40, 2 ** 40], [0, 0]), "larger than its storage")
    bad(scratch, with_bias(twenty, [2 ** 63 - 1], [0]), "larger than its storage")
    bad(scratch, with_bias(twenty, [2 ** 40], [0]), "far more numbers than the file")
    bad(scratch, with_bias(twenty, [20], [-1]), "unknown way")
    bad(scratch, with_bias(twenty, [20], [1, 1]), "unknown way")
    bad(scratch, with_bias(twenty, [1] * 9, [1] * 9), "unknown way")
    bad(scratch, with_bias("0", [20]), "unknown way")
    negative = Called(torch_files.REBUILD, (*Tensor(twenty, [20]).reduced[1], {"neg": True}))
    bad(scratch, new({**tiny(), "fc.bias": negative}), "unknown way")
    short = Storage("F32", bytes(76))
    short.numbers = 20
    for make in (new, old):
        bad(scratch, make({**tiny(), "fc.bias": Tensor(short, [20])}), "numbers")
    two = [Storage("F32", bytes(80)), Storage("F64", bytes(160))]
    two[0].key = two[1].key = "x"
    bad(scratch, new({**tiny(), "fc.bias": Tensor(two[0], [20]), "b": Tensor(two[1], [20])}), "two types")
    text, _ = torch_files.dump(tiny())
    bad(scratch, torch_files.archive([("archive/data.pkl", text)]), "does not have the numbers")
    bad(scratch, torch_files.archive([("archive/data.pkl", text)], zipfile.ZIP_DEFLATED), "compressed")
    bad(scratch, torch_files.archive([("archive/data.pkl", b"\x80\x02" + b"N" * (17 << 20) + b".")]),
        "at most")
    for raw, says in ((b"\x80\x02", "ends too early"), (b"\x80\x01N.", "protocol 1"),
                      (b"\x80\x02.", "one value"), (b"\x80\x02NN.", "one value"),
                      (b"\x80\x02" + b"]" * (1 << 21) + b".", "too"),
                      (b"\x80\x02" + b"(" * (3 << 20) + b".", "too many marks"),
                      (b"\x80\x02Nr\xff\xff\xff\x7f.", "numbers too many"),
                      (b"\x80\x02h\x05.", "refers to"), (b"\x80\x02X\xff\xff\xff\xffab.", "too early"),
                      (b"\x80\x02}(X\x01\0\0\0au.", "no value"), (b"\x80\x02N(Ne.", "no container"),
                      (b"\x80\x02NN\x86R.", "empty"), (b"\x80\x02N)R.", "no global"),
                      (b"\x80\x02N}b.", "no object"), (b"\x80\x02NQ.", "unknown way"),
                      (b"\x80\x02]q\0(h\0h\0eh\0h\0\x87.", "no state dict"),
                      (b"\x80\x02}q\0X\x01\0\0\0ah\0s.", "no state dict")):
        bad(scratch, torch_files.archive([("archive/data.pkl", raw)]), says)
    for make in (new, old):
        whole = make(tiny())
        for length in (1, 30, 100, 1000, len(whole) // 2, len(whole) - 1):
            bad(scratch, whole[:length], "")
    whole = bytearray(new(tiny()))
    whole[whole.index(b"archive/data/") + 2000] ^= 1
    bad(scratch, bytes(whole), "damaged")


UMASK = os.umask(0)
os.umask(UMASK)


def main():
    tap = Tap()
    for name, test in list(globals().items()):
        if not name.startswith(("test_", "row_")) or (sys.argv[1:] and name not in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                test(scratch)
                tap.ok(True, name)
            except Exception as error:  # every failure is a result, none stops the others
                text = f"{type(error).__name__}: {error}"
                tap.check([text.replace("\n", "\n# ")], name)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
