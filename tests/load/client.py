"""Runs the load client against a daemon."""
import json
import os
import subprocess

import harness

LOAD = os.path.join(harness.BUILD, "tests/load/load")


def offer(address, body, rate=0, connections=64, seconds=2, target="/classify"):
    """Offers load with a file, as load.c says, and returns what it measured."""
    command = [LOAD, "-r", str(rate), "-c", str(connections), "-s", str(seconds), "-p", target,
               f"{address[0]}:{address[1]}", body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=(seconds + 30) * harness.SLOW,
                          preexec_fn=harness.die_with_parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
