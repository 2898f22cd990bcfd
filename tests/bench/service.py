"""The daemon, and the service it is compared with, under load over HTTP."""
import os
import shutil
import socket
import subprocess
import sys
import time

import parties
from parties import Failed

sys.path.insert(0, os.path.join(parties.TOP, "tests/integration"))
import harness  # noqa: E402

STAGES = ("decode", "preprocess", "inference")
START_SECONDS = 60


class Daemon(harness.Daemon):
    """resnextd with one model; `ready_ms` is the time from the fork to READY=1."""

    def __init__(self, model, precision, workers, *options):
        start = time.monotonic()
        super().__init__(["--model", model, "--precision", precision, "--workers", str(workers),
                          "--log-level", "error", *options], model=False, wait=False)
        ready = self.notified(START_SECONDS)
        self.ready_ms = 1000 * (time.monotonic() - start)
        if not ready:
            self.kill()
            raise Failed(f"resnextd does not get ready: {self.log()[-300:]}")

    def url(self):
        return f"http://{self.address[0]}:{self.address[1]}/classify"

    def waited(self):
        """Seconds that the workers were ready to run while other threads had the CPUs."""
        total = 0
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            folder = f"/proc/{self.pid}/task/{thread}"
            with open(f"{folder}/comm", encoding="utf-8") as file:
                if file.read().startswith("worker/"):
                    with open(f"{folder}/schedstat", encoding="ascii") as times:
                        total += int(times.read().split()[1]) / 1e9
        return total

    def spent(self):
        """Seconds so far: {cpu, waited, decode, preprocess, inference}; and pictures."""
        samples = self.metrics()
        times = {stage: samples.get(("resnextd_stage_duration_seconds_sum",
                                     frozenset({("stage", stage)})), 0) for stage in STAGES}
        times["cpu"] = samples[("process_cpu_seconds_total", frozenset())]
        times["waited"] = self.waited()
        times["pictures"] = sum(value for (name, _), value in samples.items()
                                if name == "resnextd_images_total")
        return times

    def resident_mib(self):
        return self.status_kb("VmRSS") / 1024


def load(url, paths, connections, seconds):
    """Answers a second to wrk, which posts the files in turn on so many connections."""
    if not shutil.which("wrk"):
        raise Failed("wrk is not installed")
    output = parties.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
                          parties.script("post.lua"), url, "--", *paths])
    result = parties.last_json(output)
    if result["errors"] or not result["requests"]:
        raise Failed(f"wrk: {result}")
    return result["requests"] / result["seconds"]


def overhead(daemon, paths, seconds):
    """Milliseconds a request: CPU time outside decoding, preprocessing and inference; and inference.
    Two connections keep one worker busy. The stages' times are from a clock, so what the worker waited
    for a CPU is taken from them; that it may have waited outside the stages makes the rest larger."""
    before = daemon.spent()
    load(daemon.url(), paths, 2, seconds)
    spent = {key: value - before[key] for key, value in daemon.spent().items()}
    outside = spent["cpu"] + spent["waited"] - sum(spent[stage] for stage in STAGES)
    return {"outside_ms": 1000 * outside / spent["pictures"],
            "inference_ms": 1000 * (spent["inference"] - spent["waited"]) / spent["pictures"]}


class NodeService:
    """node_service.js with one session thread a process."""

    def __init__(self, node, model, config, workers):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            ["node", parties.script("node_service.js"), model, config, str(self.port), str(workers),
             "1"], env={**os.environ, **node.environment()}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=harness.die_with_parent)

    def wait_ready(self, path):
        """Until each worker had time to answer."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                load(self.url(), [path], 8, 1)
                return
            except Failed as reason:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise Failed(f"the service on Node does not answer: {reason}") from None
                time.sleep(0.2)

    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def stop(self):
        self.process.terminate()
        self.process.wait()
