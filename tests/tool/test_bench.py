#!/usr/bin/python3 -B
"""Runs `resnext bench`. Its figures must agree with each other and with the network."""
import json
import math
import os
import shutil
import struct
import sys
import time

import test_resnext as tool

CLEAN = {name: value for name, value in os.environ.items()
         if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
CONTRACT = {
    "model": str, "template": str, "precision": str, "threads": int, "workers": int, "batch": int,
    "samples": int, "min_ms": float, "median_ms": float, "p99_ms": float, "images_per_s": float,
    "gflops": float, "peak_gflops": float, "peak_isa": str, "share_of_peak": float,
    "kernels": dict, "cpu": str, "decode": bool,
}


def bench(*args, model=tool.CIFAR, **options):
    """The one object of a run that succeeds without a message."""
    options.setdefault("env", CLEAN)
    lines = tool.json_lines(tool.good("bench", "--json", model, *args, **options))
    assert len(lines) == 1, lines
    return lines[0]


def info(model=tool.CIFAR):
    return json.loads(tool.good("info", "--json", model, env=CLEAN))


def near(a, b, tolerance=1e-6):
    return math.isclose(a, b, rel_tol=tolerance)


def check_figures(out):
    """Checks what holds for every run, however busy the machine is."""
    assert 0 < out["min_ms"] <= out["median_ms"] <= out["p99_ms"]
    assert out["images_per_s"] <= 1.000001 * out["workers"] * 1000 / out["min_ms"]
    assert out["threads"] >= out["workers"]
    assert near(out["gflops"], 2e-9 * info()["multiply_adds"] * out["images_per_s"])
    assert near(out["share_of_peak"], out["gflops"] / out["peak_gflops"])
    assert 0 < out["share_of_peak"] < 1.1, out


def test_json_has_exactly_its_fields(_):
    out = bench("-n", "3")
    assert {name: type(value) for name, value in out.items()} == CONTRACT
    assert list(out) == list(CONTRACT)
    known = info()
    for field in ["template", "precision", "kernels"]:
        assert out[field] == known[field], field
    assert (out["model"], out["samples"], out["decode"]) == (tool.CIFAR, 3, False)
    assert (out["threads"], out["workers"], out["batch"]) == (1, 1, 1)
    assert out["cpu"] and out["peak_isa"] in ("avx512_vnni", "avx_vnni", "avx512", "avx2", "generic")
    check_figures(out)


def test_throughput_is_of_the_samples(_):
    out = bench("--iterations", "1", "--warmup", "0")
    assert out["min_ms"] == out["median_ms"] == out["p99_ms"]
    assert near(out["images_per_s"], 1000 / out["min_ms"])
    for batch in ["1", "4"]:
        out = bench("--iterations", "2", "--batch", batch)  # p99 is the larger of the two
        assert near(out["median_ms"], (out["min_ms"] + out["p99_ms"]) / 2)
        assert near(out["images_per_s"], 1000 / out["median_ms"])


def test_times_are_of_one_image(_):
    out = bench("-n", "5", "--batch", "8")
    assert (out["batch"], out["samples"]) == (8, 5)
    check_figures(out)  # a minimum above the mean would fail
    assert 1000 / out["images_per_s"] < 3 * out["p99_ms"], out


def test_workers(_):
    out = bench("-n", "40", "--workers", "2", "-b", "2")
    assert (out["threads"], out["workers"], out["batch"], out["samples"]) == (2, 2, 2, 40)
    check_figures(out)
    assert out["images_per_s"] >= 0.999999 * 1000 / out["p99_ms"]  # of 40, p99 is the largest
    check_figures(bench("-n", "3", "--workers", "16"))  # more than there are batches
    out = bench("-s", "1", "--workers", "7")
    assert out["samples"] >= 7
    check_figures(out)


def test_threads(_):
    for threads, workers in [(2, 1), (5, 2), (3, 3)]:
        out = bench("-n", "12", "--threads", str(threads), "--workers", str(workers))
        assert (out["threads"], out["workers"], out["samples"]) == (threads, workers, 12)
        check_figures(out)


def test_seconds(_):
    start = time.monotonic()
    out = bench("--seconds", "1")
    took = time.monotonic() - start
    assert took >= 1
    check_figures(out)
    assert out["samples"] > 1 and 0.5 < out["samples"] / out["images_per_s"] < max(2, took), out


def layers_of(folder):
    """The names of layers with weights, from the tensors: all but batch norm, whose tensors have rank 1."""
    data = tool.read(os.path.join(folder, "model.safetensors"))
    length = struct.unpack("<Q", data[:8])[0]
    tensors = json.loads(data[8:8 + length])
    return {name[:-len(".weight")] for name, t in tensors.items()
            if name.endswith(".weight") and len(t["shape"]) > 1}


def test_layers(_):
    out = bench("--layers", "-n", "20", "-b", "2")
    known = info()
    rows = out["layers"]
    assert list(out) == [*CONTRACT, "layers"]
    weighted = [row for row in rows if row["kernel"] != "pool"]
    assert len(weighted) == len(layers_of(tool.CIFAR))
    assert {row["name"] for row in weighted} == layers_of(tool.CIFAR)
    assert [row["name"] for row in rows if row["kernel"] == "pool"] == ["avg_pool"]
    dense = {row["kernel"].split("__")[1] for row in weighted if row["groups"] == 1}
    assert dense == set(known["kernels"]["dense"].split("+"))
    assert known["kernels"]["grouped"] and any(row["groups"] > 1 for row in weighted)
    assert sum(row["multiply_adds"] for row in rows) == known["multiply_adds"]
    assert [rows[0][key] for key in ["input", "output", "kernel_size", "stride", "groups"]] == \
        [[32, 32, 3], [32, 32, 32], 3, 1, 1]
    assert rows[-1]["input"] == [1, 1, 512] and rows[-1]["output"] == [1, 1, 10]
    for row in rows:
        assert 0 <= row["min_ms"] <= row["mean_ms"], row
        # to 1 ns in the 40 images
        assert math.isclose(row["gflops"] * row["mean_ms"], 2e-6 * row["multiply_adds"],
                            rel_tol=1e-3), row
        assert 0 <= row["share_of_peak"] < 1.1, row
    check_figures(out)
    total = sum(row["mean_ms"] for row in rows)
    assert near(total, 1000 / out["images_per_s"], 0.05), (total, out["images_per_s"])


def test_layers_tell_whose_code_runs(_):
    text = tool.good("bench", "--layers", "-n", "1", "--isa", "generic", tool.CIFAR, env=CLEAN)
    library = info()["kernels"]["grouped"]
    assert f"\nf32_grouped_openblas__generic: matrix products by {library}, all else by code of this program " \
        "for generic\n" in text, text
    for words in (["--isa", "ref"], ["--precision", "int8"]):
        assert "matrix products" not in tool.good("bench", "--layers", "-n", "1", *words, tool.CIFAR, env=CLEAN)


def test_max_pool_has_a_row(scratch):
    model = os.path.join(scratch, "model")
    tool.good("init", "resnet18", model, "--input-size", "32", "--classes", "3")
    rows = bench("--layers", "-n", "1", model=model)["layers"]
    assert rows[1]["name"] == "max_pool" and rows[1]["kernel"] == "pool"
    assert [rows[1][key] for key in ["input", "output", "kernel_size", "stride"]] == \
        [[16, 16, 64], [8, 8, 64], 3, 2]


def test_attention_has_rows(scratch):
    model = os.path.join(scratch, "model")
    tool.good("init", "blocks=1:C=1:d=4:out=16:attn=se:stem=cifar", model)
    rows = bench("--layers", "-n", "1", model=model)["layers"]
    assert [row["name"] for row in rows if row["kernel"] == "attention"] == \
        ["layer1.0.se", "layer1.0.se.fc1", "layer1.0.se.fc2"]


def test_images(_):
    out = bench("--images", tool.PICTURES, "-n", "20", "--workers", "2", "--batch", "3")
    assert list(out) == [*CONTRACT, "pictures", "decode_ms", "preprocess_ms", "inference_ms"]
    assert out["decode"] is True and out["samples"] == 20
    assert out["pictures"] == len(tool.pictures(99))
    check_figures(out)
    out = bench("--images", tool.picture("mare.jpg"), "-n", "10")
    assert out["pictures"] == 1
    stages = [out["decode_ms"], out["preprocess_ms"], out["inference_ms"]]
    assert min(stages) > 0
    assert near(sum(stages), 1000 / out["images_per_s"]), out


def test_isa(_):
    out = bench("--isa", "ref", "-n", "1", "--warmup", "0", "--layers")
    assert out["kernels"] == {"dense": "ref", "grouped": "ref"}
    assert {row["kernel"] for row in out["layers"]} == {"f32_conv__ref", "pool"}
    out = bench("--isa", "ref", "-n", "1", "--warmup", "0", "--layers", "--precision", "int8")
    assert {row["kernel"] for row in out["layers"]} == {"int8_conv__ref", "pool"}
    tool.bad(2, "bench", "--isa", "no-such", tool.CIFAR)


def test_the_peak_is_of_the_precision(_):
    peaks = {}
    for precision in ["f32", "bf16", "int8"]:
        for model in [tool.CIFAR, "resnext29_8x4d"]:
            out = bench("-n", "2", "--precision", precision, model=model)
            assert out["precision"] == precision
        peaks[precision] = out["peak_gflops"], out["peak_isa"]
    assert peaks["f32"][1] in ("avx512", "avx2", "generic")
    if peaks["int8"][1].endswith("_vnni"):
        assert peaks["int8"][0] > 2 * peaks["f32"][0], peaks
    if peaks["bf16"][1] == "avx512_bf16":
        ratio = peaks["bf16"][0] / peaks["f32"][0]  # AMD's CPUs: two; Intel's: a half
        assert not 0.8 < ratio < 1.2, peaks


def test_a_template_leaves_nothing_behind(scratch):
    out = bench("-n", "1", "--warmup", "0", model="resnet18", env=dict(CLEAN, TMPDIR=scratch))
    assert (out["model"], out["template"]) == ("resnet18", "resnet18")
    assert near(out["gflops"], 2e-9 * info("resnet18")["multiply_adds"] * out["images_per_s"])
    assert os.listdir(scratch) == []
    absent = os.path.join(scratch, "absent")
    text = tool.bad(1, "bench", "resnet18", env=dict(CLEAN, TMPDIR=absent))
    assert absent in text and "TMPDIR" in text and "as a template" not in text
    assert "resnext50_32x4d" in tool.bad(1, "bench", "resnext51")
    tool.bad(1, "bench", absent)


def test_text(_):
    lines = tool.good("bench", tool.CIFAR, "-n", "3", "-b", "2", env=CLEAN).splitlines()
    known = info()
    assert [line.split()[0] for line in lines[:3]] == ["model", "machine", "kernels"]
    assert "113,218,560" in lines[0]
    assert lines[2] == "kernels   dense {dense}, grouped {grouped}".format(**known["kernels"])
    assert lines[3] == "" and len(lines) == 6
    assert len(lines[4]) == len(lines[5])
    row = lines[5].split()
    assert row[:6] == [known["template"], "random", "1", "1", "2", "3"] and row[-1].endswith("%")
    lines = tool.good("bench", tool.CIFAR, "-n", "3", "--layers", "--images", tool.PICTURES,
                      env=CLEAN).splitlines()
    assert lines[3].startswith("pictures  16, ")
    table = lines[lines.index("", 5) + 1:]
    table = table[:table.index("")]
    names = [line.split()[0] for line in table[1:]]
    assert set(names) == layers_of(tool.CIFAR) | {"avg_pool"}
    assert len(names) == len(set(names))


def test_openblas_that_is_told_what_to_do(_):
    if os.uname().machine != "x86_64":
        raise tool.Skip("the core's name is one of x86-64")
    done = tool.run("bench", "--json", "-n", "1", tool.CIFAR,
                    env=dict(CLEAN, OPENBLAS_CORETYPE="Nehalem"))
    assert done.returncode == 0
    assert json.loads(done.stdout)["kernels"]["grouped"] == "OpenBLAS Nehalem"
    text = done.stderr.decode()
    assert text.startswith("resnext: bench: OPENBLAS_CORETYPE ") and len(text.splitlines()) == 1
    done = tool.run("bench", "-n", "1", tool.CIFAR, env=dict(CLEAN, OPENBLAS_L2_SIZE="1024"))
    assert done.returncode == 0 and b"OPENBLAS_L2_SIZE" in done.stderr


def test_bad_pictures(scratch):
    empty, mixed = os.path.join(scratch, "empty"), os.path.join(scratch, "mixed")
    os.mkdir(empty)
    os.mkdir(mixed)
    shutil.copy(tool.picture("toad.jpg"), mixed)
    assert empty in tool.bad(1, "bench", tool.CIFAR, "--images", empty)
    assert "absent" in tool.bad(1, "bench", tool.CIFAR, "--images", os.path.join(scratch, "absent"))
    good = ["bench", tool.CIFAR, "-n", "4", "--images", mixed]
    tool.good(*good, env=CLEAN)
    assert "--max-bytes" in tool.bad(1, *good, "--max-bytes", "10")
    assert "toad.jpg" in tool.bad(1, *good, "--max-pixels", "10")
    broken = tool.write(os.path.join(mixed, "z.jpg"), tool.read(tool.picture("toad.jpg"))[:300])
    for options in [[], ["--warmup", "0"], ["--workers", "3"], ["--warmup", "0", "-w", "3"]]:
        done = tool.run(*good, *options, env=CLEAN)
        assert done.returncode == 1 and done.stdout == b"", done
        assert done.stderr.decode().startswith(f"resnext: {broken}: "), done.stderr
    start = time.monotonic()
    tool.bad(1, "bench", tool.CIFAR, "--images", mixed, "-w", "2", "-s", "60", env=CLEAN)
    assert time.monotonic() - start < 50  # one worker's failure stops the others


def test_wrong_usage_is_2(_):
    for args in [
        [], [tool.CIFAR, "more"], [tool.CIFAR, "--seconds", "1", "--iterations", "1"],
        [tool.CIFAR, "--seconds", "0"], [tool.CIFAR, "--iterations", "0"],
        [tool.CIFAR, "--threads", "1", "--workers", "2"], [tool.CIFAR, "--threads", "2", "--layers"],
        [tool.CIFAR, "--workers", "0"], [tool.CIFAR, "--workers", "1025"],
        [tool.CIFAR, "--batch", "0"], [tool.CIFAR, "--warmup", "-1"],
        [tool.CIFAR, "--images"], [tool.CIFAR, "--precision", "f8"],
    ]:
        tool.bad(2, "bench", *args)


if __name__ == "__main__":
    sys.exit(tool.main(globals()))
