#!/usr/bin/python3 -B
"""schemathesis finds no answer that /openapi.json does not describe, and no 5xx. Looked for in PATH and
in $SCHEMATHESIS; `pip install schemathesis` in a virtual environment gives it. Its seed is fixed;
RESNEXT_TEST_EXAMPLES says how many calls it makes of each operation."""
import os
import shutil
import subprocess

import harness
from harness import SLOW, Skip, case

PROGRAM = os.environ.get("SCHEMATHESIS") or shutil.which("st") or ""
EXAMPLES = os.environ.get("RESNEXT_TEST_EXAMPLES", "40")

# Bytes that are a JPEG cannot be described in a schema, so it is told where to find some.
HOOKS = f"""
import pathlib
import schemathesis
from hypothesis import strategies
pictures = [p.read_bytes() for p in sorted(pathlib.Path({os.path.join(harness.DATA, "pictures")!r}).glob("*.jpg"))]
schemathesis.openapi.media_type("image/jpeg", strategies.sampled_from(pictures))
"""
# A deadline of a millisecond is 504, rightly, so none is set. What is served on the admin listener only
# is 404 here. top_k has an end at a million, and models are those of the configuration: 400 and 404. Parts of
# a form are made of any bytes: 415 and 422.
CONFIG = """
hooks = "hooks.py"
seed = 1
[parameters]
"X-Request-Timeout-Ms" = "10000"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "400", "404", "415", "422"]
"""


@case(seconds=120)
def schemathesis_finds_nothing(daemon):
    if not PROGRAM or subprocess.run([PROGRAM, "--version"], capture_output=True).returncode != 0:
        raise Skip("there is no schemathesis")
    harness.write("hooks.py", HOOKS)
    harness.write("schemathesis.toml", CONFIG)
    done = subprocess.run(
        [PROGRAM, "run", "http://%s:%d/openapi.json" % daemon.address, "--checks", "all", "--no-color",
         "--exclude-path-regex", "^/admin/",
         "--max-examples", EXAMPLES, "--request-timeout", str(10 * SLOW)],
        capture_output=True, text=True, timeout=110 * SLOW, cwd=harness.WORK, preexec_fn=harness.die_with_parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert daemon.metrics().sum("resnextd_images_total") > 10, "it sent no pictures"


if __name__ == "__main__":
    harness.main()
