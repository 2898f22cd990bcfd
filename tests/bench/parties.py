"""The programs that are compared: this one, and the peers, which live in a scratch folder.

Each peer is a class with `name`, `version` and `absent` (a reason, or None). A measurement starts a
process of its own, so that no party's idle threads disturb another."""
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(HERE, "../.."))
PYTHON = "/usr/bin/python3"
INSTALL_SECONDS = 600
NPM_PACKAGES = {"onnxruntime-node": "1.30.0", "sharp": "0.35.5"}
OPENVINO = "2026.4.1"
ONNX = "1.23.2"  # for ONNX Runtime's quantization
QUANTIZE_SECONDS = 900


class Failed(Exception):
    """A measurement that could not be made, with the reason."""


def script(name):
    return os.path.join(HERE, name)


def say(message):
    print(message, file=sys.stderr, flush=True)


def run(words, seconds=120, text=None, environment=None):
    """Standard output of a command that succeeds."""
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=seconds,
                              env={**os.environ, **(environment or {})}, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Failed(f"{os.path.basename(words[0])}: {problem}") from None
    if done.returncode:
        raise Failed(f"{os.path.basename(words[0])}: {complaint(done.stderr)}")
    return done.stdout


def complaint(text):
    """The line that says most: the last with an error in it, or the last."""
    lines = text.strip().splitlines() or ["no message"]
    return ([line for line in lines if "rror: " in line] or lines)[-1][:300]


def last_json(output):
    """The last line of an output, which is an object."""
    try:
        return json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Failed(f"no figures in: {output[-300:]!r}") from None


class Program:
    """This program, as it was built."""

    def __init__(self, build):
        self.tool = os.path.join(build, "resnext")
        self.daemon = os.path.join(build, "resnextd")
        self.image_cli = os.path.join(build, "tests/image/image_cli")
        self.time_decode = os.path.join(build, "tests/bench/time_decode")

    def bench(self, model, precision, *words):
        """The object that `resnext bench` prints."""
        return last_json(run([self.tool, "bench", "--json", "--precision", precision, model, *words]))

    def decode(self, recipe, mode, seconds, path):
        """{ours_ms, bare_ms} of preparing one picture, and of libjpeg-turbo alone."""
        return last_json(run([self.time_decode, str(recipe.size), str(recipe.short), recipe.filter,
                              mode, str(seconds), path]))

    def version(self):
        return run([self.daemon, "--version"]).strip()


class Peer:
    """What peers have in common: set up once, or absent for a reason."""
    name = "?"

    def __init__(self, cache, install):
        self.cache, self.version, self.absent = cache, "", None
        try:
            if install:
                os.makedirs(cache, exist_ok=True)
                self.install()
            self.version = self.probe()
        except Failed as reason:
            self.absent = str(reason)

    def install(self):
        """Puts it into the scratch folder, unless it is there."""

    def probe(self):
        """Its version; Failed if it does not work."""
        raise NotImplementedError


class Npm(Peer):
    """A package for Node in the scratch folder."""
    package = "?"

    def environment(self):
        return {"NODE_PATH": os.path.join(self.cache, "node_modules")}

    def install(self):
        if os.path.isdir(os.path.join(self.cache, "node_modules", self.package)):
            return
        if not shutil.which("npm"):
            raise Failed("there is no npm")
        say(f"fetching {self.package} with npm")
        run(["npm", "install", "--prefix", self.cache, "--ignore-scripts", "--no-audit", "--no-fund",
             f"{self.package}@{NPM_PACKAGES[self.package]}"], INSTALL_SECONDS)

    def probe(self):
        return run(["node", "-p", f"require('{self.package}');"
                    f"JSON.parse(require('fs').readFileSync(process.env.NODE_PATH + "
                    f"'/{self.package}/package.json')).version"],
                   environment=self.environment()).strip().splitlines()[-1]


class OnnxRuntime(Npm):
    name = "ONNX Runtime"
    package = "onnxruntime-node"

    def time(self, model, size, threads, batch, seconds, *picture):
        return last_json(run(["node", script("time_onnxruntime.js"), model,
                              *map(str, (size, threads, batch, seconds)), *picture],
                             environment=self.environment()))


class Sharp(Npm):
    name = "sharp"
    package = "sharp"


class Pip(Peer):
    """Packages for Python, in a virtual environment in the scratch folder."""
    module, folder, packages = "?", "?", ()

    def python(self):
        return os.path.join(self.cache, self.folder, "bin/python")

    def install(self):
        if os.path.exists(self.python()):
            return
        say(f"fetching {self.module} with pip")
        folder = os.path.join(self.cache, self.folder)
        try:
            run([PYTHON, "-m", "venv", folder], INSTALL_SECONDS)
            run([self.python(), "-m", "pip", "install", "-q", *self.packages], INSTALL_SECONDS)
        except Failed:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def probe(self):
        return run([self.python(), "-c", f"import {self.module} as m; print(m.__version__)"]).strip().split("-")[0]


class OnnxRuntimePython(Pip):
    """Has what the package for Node lacks: its quantization."""
    name = "ONNX Runtime's quantization"
    module, folder = "onnxruntime", "ort"
    packages = (f"onnxruntime=={NPM_PACKAGES['onnxruntime-node']}", f"onnx=={ONNX}")

    def quantize_and_run(self, *words):
        run([self.python(), script("onnxruntime_int8.py"), *words], QUANTIZE_SECONDS)


class OpenVino(Pip):
    name = "OpenVINO"
    module, folder, packages = "openvino", "ov", (f"openvino=={OPENVINO}",)

    def time(self, model, size, threads, batch, seconds, hint):
        return last_json(run([self.python(), script("time_openvino.py"), model,
                              *map(str, (size, threads, batch, seconds)), hint]))


class OneDnn(Peer):
    name = "oneDNN"

    def program(self):
        return os.path.join(self.cache, "time_onednn")

    def install(self):
        source = script("time_onednn.cpp")
        if not os.path.exists("/usr/include/dnnl.hpp"):
            raise Failed("libdnnl-dev is not installed")
        if (not os.path.exists(self.program()) or
                os.path.getmtime(self.program()) < os.path.getmtime(source)):
            run(["g++", "-std=c++17", "-O2", "-o", self.program(), source, "-ldnnl"], INSTALL_SECONDS)

    def probe(self):
        if not os.path.exists(self.program()):
            raise Failed("it is not built")
        return package_version("libdnnl-dev") or "?"

    def time(self, layers, kind, threads, batch, seconds):
        return last_json(run([self.program(), kind, str(batch), str(seconds)], text=layers,
                             environment={"OMP_NUM_THREADS": str(threads)}))


class Pillow(Peer):
    name = "Pillow"

    def probe(self):
        return run([PYTHON, "-c", "import PIL; print(PIL.__version__)"]).strip()

    def time(self, path, recipe, seconds):
        return last_json(run([PYTHON, script("time_pillow.py"), path, str(recipe.size),
                              str(recipe.short), recipe.filter, str(seconds)]))


def package_version(package):
    """Of a Debian package, None if it is not installed."""
    try:
        return run(["dpkg-query", "-W", "-f", "${Version}", package]).strip() or None
    except Failed:
        return None


def onednn_layers(program, model):
    """The lines that time_onednn reads, of the model's convolutions."""
    lines = []
    layers = program.bench(model, "f32", "--layers", "-n", "1")["layers"]
    names = {layer["name"] for layer in layers}
    for layer in layers:
        block, _, conv = layer["name"].rpartition(".")
        if layer.get("kernel_size") and layer.get("multiply_adds") and layer["name"] != "fc":
            adds = conv == "conv3" or (conv == "conv2" and f"{block}.conv3" not in names)
            lines.append((layer["input"][2], layer["output"][2], layer["input"][0],
                          layer["output"][0], layer["kernel_size"], layer["stride"],
                          layer["groups"], int(adds)))
    return "\n".join(" ".join(map(str, line)) for line in lines) + "\n"
