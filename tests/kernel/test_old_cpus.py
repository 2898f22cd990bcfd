#!/usr/bin/python3
"""CPUs without AVX-512, and without AVX2, under an emulator: the programs start there and are right,
and what such a CPU lacks is refused at start with words, never with SIGILL."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "build"))
QEMU = "qemu-x86_64"
PICTURE = os.path.join(SOURCE, "tests", "data", "pictures", "airliner.jpg")
SMALL = "blocks=1,1:C=4:d=2:stem=cifar:stem_width=8:out=16:classes=3:size=24"
# Only every so many cases of the checker: emulation is slow.
EVERY = "13"
# A family of Intel's, a model of nobody's.
UNKNOWN_CPU = "Haswell,model=239"
# What qemu calls a CPU: the ISAs it has.
CPUS = {
    "core2duo": ["ref", "generic"],
    "Nehalem": ["ref", "generic"],
    "Haswell": ["ref", "generic", "avx2"],
}
ABOVE = {"core2duo": ["avx2", "avx512"], "Nehalem": ["avx2", "avx_vnni", "avx512_bf16"],
         "Haswell": ["avx_vnni", "avx512", "avx512_vnni"]}


def run(cpu, program, *arguments, **variables):
    """(status, stdout, stderr) of a program of the build, on `cpu` or (None) on this machine."""
    # One BLAS thread from the start: no second exec, which would leave the emulator.
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", CK_VERBOSITY="silent",
                       CK_TAP_LOG_FILE_NAME="-", **variables)
    if "OPENBLAS_CORETYPE" not in variables:
        environment.pop("OPENBLAS_CORETYPE", None)
    command = [os.path.join(BUILD, program), *arguments]
    if cpu:
        command = [QEMU, "-cpu", cpu, *command]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, timeout=1200,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def good(cpu, program, *arguments, **variables):
    status, out, errors = run(cpu, program, *arguments, **variables)
    assert status == 0, f"{program} {arguments} on {cpu}: status {status}\n{out}{errors}"
    return out


def row_74_kernels_are_right(cpu, _):
    out = good(cpu, "tests/kernel/test_conv", CHECK_EVERY=EVERY)
    assert "not ok" not in out and "ok 1" in out, out
    isas = {line.split("__")[1].split(":")[0] for line in out.splitlines()
            if line.startswith("# ") and "__" in line}
    assert isas == set(CPUS[cpu]), isas


def row_74_networks_are_right(cpu, _):
    out = good(cpu, "tests/nn/test_network")
    assert "not ok" not in out and "ok 1" in out, out


def row_74_pictures_are_resized_right(cpu, _):
    out = good(cpu, "tests/image/test_resize")
    assert "not ok" not in out and "ok 1" in out, out


def row_74_a_model_is_verified(cpu, model):
    good(cpu, "resnext", "verify", model)
    good(cpu, "resnext", "verify", model, "--isa", "ref")


def logits(cpu, model, *arguments):
    line = json.loads(good(cpu, "resnext", "classify", model, PICTURE, "--json", "--logits",
                           *arguments))
    return line["logits"]


def row_74_a_picture_gives_the_same_logits(cpu, model):
    want, have = logits(None, model, "--isa", "ref"), logits(cpu, model)
    assert len(want) == 3 and max(want) - min(want) > 1e-3, want
    assert all(abs(a - b) < 1e-4 for a, b in zip(want, have)), (want, have)


def row_74_the_daemon_serves(cpu, model):
    where = os.path.join(model, "daemon.sock")
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
    daemon = subprocess.Popen([QEMU, "-cpu", cpu, os.path.join(BUILD, "resnextd"), "--model", model,
                               "--workers", "1", "--listen", "unix:" + where],
                              env=environment, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 600
        answer = None
        while answer is None and time.monotonic() < end and daemon.poll() is None:
            answer = ask(where)
        assert answer, f"no answer; exit code {daemon.poll()}"
        best = json.loads(answer)["predictions"][0]["class_id"]
        want = logits(None, model, "--isa", "ref")
        assert want[best] == max(want), (best, want)
        daemon.terminate()
        assert daemon.wait(300) == 0
    finally:
        daemon.kill()
        daemon.wait()


def ask(where):
    """The answer to the picture, or None while nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection, open(PICTURE, "rb") as file:
        try:
            connection.connect(where)
        except OSError:
            time.sleep(0.1)
            return None
        body = file.read()
        connection.sendall(b"POST /classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return connection.makefile("rb").read().split(b"\r\n\r\n", 1)[1]


def row_74_kernels_that_would_fault_are_replaced(cpu, model):
    """A CPU that claims a family without its instructions: OpenBLAS believes the family."""
    wrong = {"core2duo": "Opteron", "Nehalem": "Haswell", "Haswell": "SkylakeX"}[cpu]
    status, out, errors = run(cpu, "resnext", "verify", model, "--precision", "f32",
                              OPENBLAS_CORETYPE=wrong)
    assert status == 0 and "passed" in out, (status, out, errors)
    # OpenBLAS itself refuses what it can tell, and then chooses by the CPU.
    assert "OPENBLAS_CORETYPE=Prescott" in errors or wrong not in out, (out, errors)


def row_74_the_emulated_default_cpu_gets_plain_kernels(cpu, model):
    """What executes itself anew leaves the emulator, so the plain kernels are tried there as well."""
    status, out, errors = run(cpu, "resnext", "verify", model)
    assert status == 0 and "Prescott" in out, (status, out, errors)
    assert "lacks instructions of OpenBLAS's Opteron kernels" in errors, errors
    status, out, errors = run(cpu, "resnext", "verify", model, OPENBLAS_CORETYPE="Prescott")
    assert status == 0 and "Prescott" in out, (status, out, errors)


def a_cpu_that_openblas_does_not_know_gets_kernels_that_suit_it(cpu, model):
    """What executes itself anew leaves the emulator, but the core that it asks for is the emulated CPU's."""
    out = good(cpu, "resnext", "verify", model)
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        core = "Haswell" if "avx2" in file.read().split() else "Prescott"
    assert f"OpenBLAS {core})" in out, out
    out = good(cpu, "resnext", "verify", model, OPENBLAS_CORETYPE="Nehalem")
    assert "OpenBLAS Nehalem)" in out, out


def row_75_what_it_lacks_is_refused(cpu, model):
    here = "it has " + ", ".join(CPUS[cpu]) + ";"
    for isa in ABOVE[cpu]:
        status, _, errors = run(cpu, "resnext", "verify", model, "--isa", isa)
        assert status == 2 and f"--isa {isa}" in errors and here in errors, (status, errors)
    status, _, errors = run(cpu, "resnextd", "--model", model, "--isa", ABOVE[cpu][0],
                            "--listen", "unix:" + os.path.join(model, "socket"))
    assert status > 0 and f"isa = {ABOVE[cpu][0]}" in errors and here in errors, (status, errors)


CASES = [row_74_kernels_are_right, row_74_networks_are_right,
         row_74_pictures_are_resized_right, row_74_a_model_is_verified,
         row_74_a_picture_gives_the_same_logits, row_74_the_daemon_serves,
         row_74_kernels_that_would_fault_are_replaced, row_75_what_it_lacks_is_refused]


def reason_to_skip():
    if os.uname().machine != "x86_64":
        return "only for x86-64"
    if not shutil.which(QEMU):
        return f"there is no {QEMU}"
    with open(os.path.join(BUILD, "resnext"), "rb") as file:
        if b"__asan_init" in file.read():
            return "sanitizers do not run under the emulator"
    return None


def main():
    plan = [(case, cpu) for cpu in CPUS for case in CASES]
    plan.append((row_74_the_emulated_default_cpu_gets_plain_kernels, "qemu64"))
    plan.append((a_cpu_that_openblas_does_not_know_gets_kernels_that_suit_it, UNKNOWN_CPU))
    print(f"1..{len(plan)}", flush=True)
    skip, failed = reason_to_skip(), False
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        if not skip:
            good(None, "resnext", "init", SMALL, model)
        for number, (case, cpu) in enumerate(plan, 1):
            name = f"{cpu}: {case.__name__}"
            if skip:
                print(f"ok {number} - {name} # SKIP {skip}", flush=True)
                continue
            try:
                case(cpu, model)
                print(f"ok {number} - {name}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired) as problem:
                failed = True
                print("\n".join("# " + line for line in str(problem).splitlines()))
                print(f"not ok {number} - {name}", flush=True)
    return 1 if failed else 0


sys.exit(main())
