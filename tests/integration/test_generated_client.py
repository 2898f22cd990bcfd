#!/usr/bin/python3 -B
"""A client that openapi-python-client makes of /openapi.json can use the service. The generator is looked for
in PATH and in $OPENAPI_PYTHON_CLIENT; `pip install openapi-python-client` in a virtual environment gives it,
and what the client needs."""
import json
import os
import shutil
import subprocess

import harness
from harness import SLOW, Skip, case, check_scores, reference

PROGRAM = os.environ.get("OPENAPI_PYTHON_CLIENT") or shutil.which("openapi-python-client") or ""
PYTHON = os.path.join(os.path.dirname(PROGRAM), "python3")

# What its user writes: calls of the client, whose answers it prints.
CALLS = """
import io, json, sys
from generated import Client
from generated.api.operation import health, livez, models, readyz, reload
from generated.api.pictures import classify, embed, explain
from generated.models import ClassifyFilesBody, ExplainFormat
from generated.types import File
service, admin, picture = Client(base_url=sys.argv[1]), Client(base_url=sys.argv[2]), sys.argv[3]
def jpeg():
    return File(io.BytesIO(open(picture, "rb").read()), "a.jpg", "image/jpeg")
form = ClassifyFilesBody()
form["a"], form["b"] = jpeg(), jpeg()
answers = {
    "one": classify.sync(client=service, body=jpeg(), top_k=3),
    "several": classify.sync(client=service, body=form),
    "embed": embed.sync(client=service, body=jpeg()),
    "explain": explain.sync(client=service, body=jpeg(), format_=ExplainFormat.JSON),
    "unknown": classify.sync(client=service, body=jpeg(), model="none"),
    "damaged": classify.sync(client=service, body=File(io.BytesIO(b"x"))),
    "health": health.sync(client=service), "models": models.sync(client=service),
    "livez": livez.sync(client=service), "readyz": readyz.sync(client=service),
    "reload": reload.sync(client=admin),
}
print(json.dumps({name: [type(answer).__name__, answer.to_dict()] for name, answer in answers.items()}))
"""


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=50 * SLOW, cwd=harness.WORK,
                          preexec_fn=harness.die_with_parent)


@case(own=None, seconds=120)
def a_generated_client_is_served():
    if not os.path.exists(PYTHON) or run(PROGRAM, "--version").returncode != 0:
        raise Skip("there is no openapi-python-client")
    admin = "%s:%d" % harness.free_port()
    with harness.Daemon(["--admin-listen", admin]) as daemon:
        contract = harness.write("contract.json", daemon.get("/openapi.json").body.decode())
        made = run(PROGRAM, "generate", "--path", contract, "--meta", "none", "--output-path", "generated")
        assert made.returncode == 0, made.stdout + made.stderr
        for complaint in ("Unable to process", "Could not find"):
            assert complaint not in made.stdout + made.stderr, made.stdout + made.stderr
        data, scores = reference()
        picture = harness.write("a.jpg", data)
        calls = harness.write("calls.py", CALLS)
        done = run(PYTHON, "-B", calls, "http://%s:%d" % daemon.address, "http://" + admin, picture)
        assert done.returncode == 0, done.stdout + done.stderr
    answers = json.loads(done.stdout)
    kinds = {name: kind for name, (kind, _) in answers.items()}
    answers = {name: body for name, (_, body) in answers.items()}
    assert kinds == {"one": "Classification", "several": "Results", "embed": "Embedding", "explain": "Explanation",
                     "unknown": "Error", "damaged": "Error", "health": "Health", "models": "ModelsResponse200",
                     "livez": "LivezResponse200", "readyz": "ReadyzResponse200", "reload": "ReloadResponse200"}, kinds
    check_scores(answers["one"]["predictions"], scores)
    assert len(answers["one"]["predictions"]) == 3, answers
    for result in answers["several"]["results"]:
        check_scores(result["predictions"], scores)
    assert answers["embed"]["dimensions"] == len(answers["embed"]["embedding"]), answers
    assert answers["unknown"]["error"]["code"] == "model_unknown", answers
    assert answers["damaged"]["error"]["code"] == "not_jpeg", answers
    assert answers["reload"]["restart_needed"] == [], answers


if __name__ == "__main__":
    harness.main()
