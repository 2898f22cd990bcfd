#!/usr/bin/python3 -B
"""Measures this program and its peers in one run and prints one Markdown table.

usage: bench.py [OPTION]...      (./bootstrap bench builds, and calls it)

Every measurement is repeated in several rounds, in which the parties take turns; figures are medians
over the rounds, ratios the median of each round's. Peers are fetched into a scratch folder,
$RESNEXTD_BENCH_CACHE or ${XDG_CACHE_HOME:-~/.cache}/resnextd-bench; one that is absent is named and
left out.
"""
import argparse
import contextlib
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile

import fidelity
import parties
import pictures
import service
from parties import PYTHON, TOP, Failed, run, say
from table import Progress, Table, interleave

DEFAULT_MODEL = os.path.join(TOP, "models/resnext29-cifar10")
LEARNED_MODEL = os.path.join(TOP, "models/resnet50-imagenet")
TEST_PICTURES = os.path.join(TOP, "tests/data/pictures")
LARGE_TEMPLATE = "resnext50_32x4d"
PARTS = ("inference", "fidelity", "http", "pictures", "start")
PRECISIONS = ("f32", "int8", "bf16")
LONG_NAME = {"f32": "float32", "int8": "int8", "bf16": "bf16"}
WORKERS = 2
CONNECTIONS = 8
DRAW_SECONDS = 600
PINNING_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class Recipe:
    """How a model folder's pictures are prepared."""

    def __init__(self, folder):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        config = config.get("pretrained_cfg", config)
        self.size = config["input_size"][1]
        self.short = config.get("resize_size") or int(self.size / config.get("crop_pct", 0.875))
        self.filter = config.get("interpolation", "bilinear")
        self.crop_mode = config.get("crop_mode", "center")
        self.mean, self.std = config["mean"], config["std"]


class Model:
    """A folder with calibration.json; `onnx` and `onnx_int8` once they are exported."""

    def __init__(self, label, folder):
        self.label, self.folder = label, folder
        self.recipe = Recipe(folder)
        self.onnx = self.onnx_int8 = None

    def export(self, scratch):
        names = [os.path.join(scratch, f"{self.label}{end}.onnx") for end in ("", "-int8")]
        run([PYTHON, "-B", parties.script("export_onnx.py"), self.folder, *names])
        self.onnx, self.onnx_int8 = names

    def file_mib(self):
        return os.path.getsize(os.path.join(self.folder, "model.safetensors")) / (1 << 20)

    def onnx_of(self, precision):
        return self.onnx_int8 if precision == "int8" else self.onnx


class Bench:
    """What a run has at hand."""

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.progress, self.table, self.notes = Progress(), Table(), []
        self.fidelity = ""  # a table of its own
        self.program = parties.Program(service.harness.BUILD)
        self.bench_length = ["-n", "3"] if options.quick else ["--seconds", str(options.seconds)]
        self.peers = {}
        if not options.quick:
            for kind in (parties.OnnxRuntime, parties.OnnxRuntimePython, parties.OpenVino,
                         parties.OneDnn, parties.Sharp, parties.Pillow):
                peer = kind(options.cache, not options.no_install)
                self.peers[kind] = peer
                if peer.absent:
                    self.note(f"{peer.name} is left out: {peer.absent}")
        self.photos = self.find_photos()
        self.models = [Model("default model", DEFAULT_MODEL)]
        self.learned = None
        if not options.quick:
            self.models.append(self.large_model())
            self.learned = self.models[-1] if options.model else self.learned_model()
            if self.learned and not options.model:
                self.models.append(self.learned)
            self.export()

    def note(self, text):
        self.notes.append(text)
        say(text)

    def peer(self, kind):
        """None if it is absent."""
        peer = self.peers.get(kind)
        return peer if peer and not peer.absent else None

    def find_photos(self):
        """Those named; of a size that these lack, drawn ones."""
        given = self.options.photos or (TEST_PICTURES if self.options.quick else None)
        found = given and pictures.Photos([given], os.path.join(self.scratch, "found"))
        missing = [name for name in pictures.SIZES if not found or name not in found.groups]
        if self.options.quick or not missing:
            return found
        drawn = os.path.join(self.scratch, "drawn")
        run([PYTHON, "-B", parties.script("pictures.py"), drawn, *missing], DRAW_SECONDS)
        self.note(f"photos of {' and '.join(missing)} pixels are drawn")
        return pictures.Photos(list(filter(None, (given, drawn))), os.path.join(self.scratch, "photos"))

    def learned_model(self):
        if os.path.isdir(LEARNED_MODEL):
            return Model(os.path.basename(LEARNED_MODEL), LEARNED_MODEL)
        self.note(f"{LEARNED_MODEL} is left out: it is not there; see ./bootstrap imagenet")
        return None

    def large_model(self):
        """The folder that was named, or random weights. A folder is copied: calibrating writes."""
        folder = os.path.join(self.scratch, "model")
        if self.options.model:
            os.makedirs(folder)
            for name in os.listdir(self.options.model):
                if name.endswith((".json", ".txt", ".safetensors")):
                    shutil.copy(os.path.join(self.options.model, name), folder)
        else:
            run([self.program.tool, "init", LARGE_TEMPLATE, folder])
        if not os.path.exists(os.path.join(folder, "calibration.json")):
            run([self.program.tool, "calibrate", folder, self.photos.web.folder, "--rounding", "nearest"])
        template = json.loads(run([self.program.tool, "info", "--json", folder]))["template"]
        return Model(template, folder)

    def export(self):
        try:
            for model in self.models:
                model.export(self.scratch)
        except Failed as reason:
            self.note(f"there are no ONNX files, so ONNX Runtime and OpenVINO are left out: {reason}")

    def interleave(self, title, subjects):
        return interleave(title, subjects, self.options.rounds, self.progress)


# --- the networks alone ---

def inference_subjects(bench, model, threads):
    """(party, precision) -> a function that gives milliseconds an image."""
    subjects, seconds = {}, bench.options.seconds
    layers = bench.peer(parties.OneDnn) and parties.onednn_layers(bench.program, model.folder)
    for precision in PRECISIONS:
        subjects["resnextd", precision] = lambda p=precision: bench.program.bench(
            model.folder, p, "--threads", str(threads), *bench.bench_length)["median_ms"]
        file = model.onnx_of(precision)
        runtime, openvino = bench.peer(parties.OnnxRuntime), bench.peer(parties.OpenVino)
        if runtime and file and precision != "bf16":
            subjects[runtime.name, precision] = lambda f=file: runtime.time(
                f, model.recipe.size, threads, 1, seconds)["median_ms"]
        if openvino and file:
            hint = "bf16" if precision == "bf16" else "f32"
            subjects[openvino.name, precision] = lambda f=file, h=hint: openvino.time(
                f, model.recipe.size, threads, 1, seconds, h)["median_ms"]
        if layers:
            kind = "s8" if precision == "int8" else precision
            subjects["oneDNN", precision] = lambda k=kind: bench.peer(parties.OneDnn).time(
                layers, k, threads, 1, seconds)["median_ms"]
    return subjects


def add_inference_rows(bench, model, threads):
    shape = f"{threads} thread{'s'[:threads > 1]}, batch 1"
    figures = bench.interleave(f"{model.label}, {shape}", inference_subjects(bench, model, threads))
    for precision in PRECISIONS:
        here = figures.get(("resnextd", precision))
        what = f"{model.label}, {LONG_NAME[precision]}, {shape}"
        others = [name for name, kind in figures if kind == precision and name != "resnextd"]
        if not others:
            bench.table.add(what, here, "ms")
        for other in others:
            label = "oneDNN, convolutions alone" if other == "oneDNN" else other
            bench.table.add(what, here, "ms", label, figures[other, precision])


def check_export(bench, model):
    """The network that ONNX Runtime is timed with gives our logits."""
    runtime = bench.peer(parties.OnnxRuntime)
    if not runtime or not model.onnx:
        return
    def evaluate(path):
        return runtime.time(model.onnx, model.recipe.size, 1, 1, 0, path)["logits"]

    difference = logits_difference(bench.program, evaluate, model, bench.photos.web.typical,
                                   bench.scratch)
    if difference > 1e-3:
        raise Failed(f"{model.label}: the ONNX file gives other logits, off by {difference:.1e} of "
                     "the largest")
    bench.note(f"{model.label}: logits of ONNX Runtime (float32) and resnextd differ by "
               f"{difference:.0e} of the largest")


def logits_difference(program, evaluate, model, picture, scratch):
    """The greatest difference of our float32 logits from those that evaluate(path of the normalised
    input) returns, as a part of the largest."""
    import numpy
    pixels = subprocess.run([program.tool, "preprocess", model.folder, picture], check=True,
                            capture_output=True).stdout
    size = model.recipe.size
    rgb = numpy.frombuffer(pixels[-3 * size * size:], numpy.uint8).reshape(size, size, 3)
    x = (rgb / 255 - model.recipe.mean) / model.recipe.std
    path = os.path.join(scratch, "input.f32")
    x.transpose(2, 0, 1).astype("<f4").tofile(path)
    theirs = numpy.array(evaluate(path))
    ours = numpy.array(parties.last_json(run([program.tool, "classify", "--json", "--logits",
                                              "--precision", "f32", model.folder, picture]))["logits"])
    return float(abs(ours - theirs).max() / abs(ours).max())


def measure_inference(bench):
    for model in bench.models:
        check_export(bench, model)
        for threads in (1, 2):
            add_inference_rows(bench, model, threads)
        figures = bench.interleave(f"{model.label}, {WORKERS} workers", {
            ("resnextd", precision): lambda p=precision: bench.program.bench(
                model.folder, p, "--workers", str(WORKERS), *bench.bench_length)["images_per_s"]
            for precision in PRECISIONS})
        for (_, precision), here in figures.items():
            bench.table.add(f"{model.label}, {LONG_NAME[precision]}, {WORKERS} workers", here,
                            "images/s")


# --- fidelity ---

def measure_fidelity(bench):
    if not bench.options.photos:
        bench.note("fidelity is left out: it takes photos, --photos DIR")
    elif bench.learned:
        try:
            bench.fidelity = fidelity.measure(bench, bench.learned, bench.scratch)
        except (Failed, ImportError) as reason:
            bench.note(f"fidelity is left out: {reason}")


# --- over HTTP ---

def over_http(bench, model, stack):
    """Photos over HTTP against `resnext bench --images`, and with those of the web int8 against float32.
    For long: wrk does not count the requests that are under way when it ends."""
    subjects, seconds = {}, 2 * bench.options.load_seconds
    daemons = {precision: stack.enter_context(service.Daemon(model.folder, precision, WORKERS))
               for precision in ("f32", "int8")}
    measured = [(name, precision) for name, group in bench.photos.groups.items()
                for precision in ("f32", "int8") if precision == "int8" or group is bench.photos.web]
    for name, precision in measured:
        group = bench.photos.groups[name]
        subjects["HTTP", name, precision] = lambda d=daemons[precision], g=group: service.load(
            d.url(), g.paths, CONNECTIONS, seconds)
        subjects["bench --images", name, precision] = lambda p=precision, g=group: bench.program.bench(
            model.folder, p, "--workers", str(WORKERS), "--images", g.folder, "--seconds",
            str(seconds))["images_per_s"]
    figures = bench.interleave(f"{model.label}, photos over HTTP", subjects)
    for name, precision in measured:
        what = http_title(model, LONG_NAME[precision], bench.photos.groups[name])
        over = figures.get(("HTTP", name, precision))
        bench.table.add(what, over, "images/s", "`resnext bench --images`",
                        figures.get(("bench --images", name, precision)))
        floats = figures.get(("HTTP", name, "f32"))
        if precision == "int8" and floats:
            bench.table.add(what, over, "images/s", "the same in float32", floats)


def http_title(model, how, group):
    return f"{model.label}, {how}, photos of {group.title} over HTTP, {WORKERS} workers"


def fast_over_http(bench, model, stack):
    """What decode = fast gains with the largest photos."""
    group, seconds = bench.photos.groups.get(pictures.LARGEST), 2 * bench.options.load_seconds
    if not group:
        return
    subjects = {}
    for mode in ("fast", "exact"):
        daemon = stack.enter_context(service.Daemon(model.folder, "int8", WORKERS, "--decode", mode))
        subjects["HTTP", mode] = lambda d=daemon: service.load(d.url(), group.paths, CONNECTIONS, seconds)
    figures = bench.interleave(f"{model.label}, decode = fast over HTTP", subjects)
    bench.table.add(http_title(model, "int8, decode = fast", group), figures.get(("HTTP", "fast")),
                    "images/s", "decode = exact", figures.get(("HTTP", "exact")))


def against_node(bench, model, stack):
    """Requests a second of the default model against the service on Node."""
    runtime, sharp = bench.peer(parties.OnnxRuntime), bench.peer(parties.Sharp)
    picture = os.path.join(TOP, "tests/data/pictures/mare.jpg")
    subjects, seconds = {}, bench.options.load_seconds
    for precision in ("f32", "int8"):
        daemon = stack.enter_context(service.Daemon(model.folder, precision, WORKERS))
        subjects["resnextd", precision] = lambda d=daemon: service.load(d.url(), [picture], CONNECTIONS,
                                                                        seconds)
        if runtime and sharp and model.onnx:
            node = service.NodeService(runtime, model.onnx_of(precision),
                                       os.path.join(model.folder, "config.json"), WORKERS)
            stack.callback(node.stop)
            node.wait_ready(picture)
            subjects["node", precision] = lambda n=node: service.load(n.url(), [picture], CONNECTIONS,
                                                                      seconds)
    figures = bench.interleave(f"{model.label}, requests", subjects)
    for precision in ("f32", "int8"):
        bench.table.add(f"{model.label}, {LONG_NAME[precision]}, 32x32 JPEG over HTTP, {WORKERS} workers",
                        figures.get(("resnextd", precision)), "requests/s",
                        "Node, sharp, ONNX Runtime, 2 processes", figures.get(("node", precision)))


def outside_of_stages(bench, model, stack):
    picture = os.path.join(TOP, "tests/data/pictures/mare.jpg")
    subjects, spent = {}, {"f32": [], "int8": []}
    for precision in spent:
        daemon = stack.enter_context(service.Daemon(model.folder, precision, 1))
        subjects["resnextd", precision] = lambda d=daemon, s=spent[precision]: s.append(
            service.overhead(d, [picture], bench.options.load_seconds))
    figures = bench.interleave(f"{model.label}, CPU time outside the stages", subjects)
    for _, precision in figures:
        rounds = spent[precision]
        bench.table.add(f"{model.label}, {LONG_NAME[precision]}, CPU time of a request outside decode, "
                        "preprocess and inference", [r["outside_ms"] for r in rounds], "ms",
                        "its inference", [r["inference_ms"] for r in rounds])


def measure_http(bench):
    if not shutil.which("wrk"):
        bench.note("HTTP is left out: wrk is not installed")
        return
    for measure, model in ((over_http, bench.models[-1]), (fast_over_http, bench.models[-1]),
                           (against_node, bench.models[0]), (outside_of_stages, bench.models[0])):
        try:
            with contextlib.ExitStack() as stack:
                measure(bench, model, stack)
        except Failed as reason:
            bench.note(f"{measure.__name__} is left out: {reason}")


# --- pictures ---

def measure_pictures(bench):
    recipe = bench.models[-1].recipe
    add_decode_row(bench, recipe, bench.photos.web)
    for group in bench.photos.groups.values():
        if group is not bench.photos.web:
            add_decode_modes(bench, recipe, group)


def add_decode_row(bench, recipe, group):
    """Against the decoder alone."""
    turns = []
    figures = bench.interleave("one photo", {("resnextd", "exact"): lambda: turns.append(
        bench.program.decode(recipe, "exact", bench.options.seconds, group.typical))})
    if figures:
        bench.table.add(f"decode and preprocess of a {group.title} photo", [t["ours_ms"] for t in turns],
                        "ms", "libjpeg-turbo, decode alone", [t["bare_ms"] for t in turns])


def add_decode_modes(bench, recipe, group):
    """Fast and exact, against Pillow."""
    seconds, pillow = bench.options.seconds, bench.peer(parties.Pillow)
    subjects = {("resnextd", mode): lambda m=mode: bench.program.decode(
        recipe, m, seconds, group.typical)["ours_ms"] for mode in ("fast", "exact")}
    if pillow:
        subjects["Pillow", "exact"] = lambda: pillow.time(group.typical, recipe, seconds)["median_ms"]
    figures = bench.interleave(f"a {group.title} photo", subjects)
    for mode in ("fast", "exact"):
        bench.table.add(f"decode = {mode}, and preprocess, of a {group.title} photo",
                        figures.get(("resnextd", mode)), "ms", "Pillow, exact decode and resize",
                        figures.get(("Pillow", "exact")))


# --- start and memory ---

def measure_start(bench):
    for model in bench.models:
        subjects, memory = {}, {}
        for precision in ("f32", "int8"):
            memory[precision] = []
            subjects["start", precision] = lambda p=precision, m=memory[precision]: start_once(
                bench, model, p, m)
        start_once(bench, model, "f32", [])  # the files are cached from here on
        figures = bench.interleave(f"{model.label}, start", subjects)
        for _, precision in figures:
            bench.table.add(f"{model.label}, {LONG_NAME[precision]}, ready after exec",
                            figures["start", precision], "ms")
        for _, precision in figures:
            bench.table.add(f"{model.label}, {LONG_NAME[precision]}, resident with {WORKERS} workers",
                            memory[precision], "MiB", "the file of its weights",
                            [model.file_mib()] * len(memory[precision]))


def start_once(bench, model, precision, memory):
    """Milliseconds until ready; appends what is resident after each worker had pictures."""
    with service.Daemon(model.folder, precision, WORKERS) as daemon:
        for path in bench.photos.web.paths[:8]:
            with open(path, "rb") as file:
                answer = daemon.classify(file.read())
            if answer.status != 200:
                raise Failed(f"{path}: {answer}")
        memory.append(daemon.resident_mib())
    return daemon.ready_ms


# --- the report ---

def circumstances(bench):
    """What a figure means nothing without, as Markdown list items."""
    facts = bench.program.bench(DEFAULT_MODEL, "f32", "-n", "1")
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    yield (f"{facts['cpu']}, {len(os.sched_getaffinity(0))} CPUs, {memory:.0f} GiB; {system}, "
           f"Linux {platform.release()}")
    yield f"float32: dense {facts['kernels']['dense']}, grouped {facts['kernels']['grouped']}"
    yield "; ".join(versions(bench))
    yield (f"{datetime.date.today()}; medians of {bench.options.rounds} rounds; ratios are the median of "
           "each round's, in brackets the least and the greatest")
    yield from bench.notes


def versions(bench):
    yield bench.program.version()
    for package in ("libopenblas0-pthread", "libjpeg62-turbo", "libmicrohttpd12"):
        yield f"{package} {parties.package_version(package) or '?'}"
    for peer in bench.peers.values():
        if not peer.absent:
            yield f"{peer.name} {peer.version}"
    if bench.peer(parties.OnnxRuntime):
        yield f"Node {run(['node', '--version']).strip()}"


def report(bench):
    lines = "".join(f"- {line}\n" for line in circumstances(bench))
    table = bench.table.markdown() if bench.table.rows else ""
    return "\n".join(filter(None, (table, bench.fidelity, lines)))


def default_cache():
    if "RESNEXTD_BENCH_CACHE" in os.environ:
        return os.environ["RESNEXTD_BENCH_CACHE"]
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "resnextd-bench")


def parse(words):
    parser = argparse.ArgumentParser(prog="./bootstrap bench", description=__doc__.split("\n\n")[0],
                                     allow_abbrev=False)
    parser.add_argument("--cache", default=default_cache(), metavar="DIR",
                        help="scratch folder of the peers (default %(default)s)")
    parser.add_argument("--no-install", action="store_true",
                        help="take only the peers that are in the scratch folder")
    parser.add_argument("--model", metavar="DIR",
                        help=f"the large model (default: random weights of {LARGE_TEMPLATE}, and "
                        f"{os.path.basename(LEARNED_MODEL)})")
    parser.add_argument("--photos", metavar="DIR",
                        help="JPEGs to measure with, at any depth (default, and for sizes that it lacks: "
                        "drawn ones)")
    parser.add_argument("--calibration-photos", metavar="DIR",
                        help="JPEGs to calibrate with for fidelity (default: every second of --photos)")
    parser.add_argument("--out", metavar="FILE", help="write the table here, too")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default %(default)s)")
    parser.add_argument("--seconds", type=int, default=1, metavar="N",
                        help="of one measurement (default %(default)s)")
    parser.add_argument("--parts", metavar="LIST", help="some of " + ", ".join(PARTS) + " (default all)")
    parser.add_argument("--quick", action="store_true",
                        help="only this program, its default model, and next to no repetition")
    options = parser.parse_args(words)
    possible = tuple(part for part in PARTS if part != "fidelity" or not options.quick)
    options.parts = options.parts.split(",") if options.parts is not None else possible
    if not set(options.parts) <= set(PARTS):
        parser.error(f"--parts takes some of {', '.join(PARTS)}")
    if not set(options.parts) <= set(possible):
        parser.error("fidelity is of a learned network, and --quick takes the default model alone; leave one away")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds start at 1")
    options.rounds = 1 if options.quick else options.rounds
    options.load_seconds = 1 if options.quick else 3 * options.seconds
    return options


def main(words):
    options = parse(words)
    for name in PINNING_VARIABLES:
        os.environ.pop(name, None)
    measures = {"inference": measure_inference, "fidelity": measure_fidelity, "http": measure_http,
                "pictures": measure_pictures, "start": measure_start}
    with tempfile.TemporaryDirectory(prefix="resnextd-bench-") as scratch:
        service.harness.WORK = scratch
        bench = Bench(options, scratch)
        for part in options.parts:
            measures[part](bench)
        text = report(bench)
    print(text, end="")
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Failed, OSError) as problem:
        sys.exit(f"bench: {problem}")
