#!/usr/bin/python3 -B
"""etc/kubernetes/kserve-runtime.yaml fits together and fits the daemon. Where $KSERVE_PYTHON has the package kserve
(./bootstrap check-long installs it), also KServe's models fit the file, and its client fits the daemon."""
import base64
import json
import os
import re
import subprocess
import sys

TOP = os.environ["top_srcdir"]
sys.path.insert(0, os.path.join(TOP, "tests/integration"))

try:
    import yaml
except ImportError:
    print("1..0 # SKIP there is no python3-yaml")
    sys.exit(0)

import harness  # noqa: E402
from harness import case, reference  # noqa: E402

FILE = os.path.join(TOP, "etc/kubernetes/kserve-runtime.yaml")
PYTHON = os.environ.get("KSERVE_PYTHON", "/usr/bin/python3")
with open(FILE) as file:
    documents = list(yaml.safe_load_all(file))
runtime, service = documents
container, = runtime["spec"]["containers"]
model = service["spec"]["predictor"]["model"]


def read(path):
    with open(os.path.join(TOP, path)) as file:
        return file.read()


@case(own=None)
def the_service_finds_the_runtime():
    assert [(d["apiVersion"], d["kind"]) for d in documents] == [
        ("serving.kserve.io/v1alpha1", "ClusterServingRuntime"), ("serving.kserve.io/v1beta1", "InferenceService")]
    formats = {f["name"] for f in runtime["spec"]["supportedModelFormats"]}
    assert model["runtime"] == runtime["metadata"]["name"] and model["modelFormat"]["name"] in formats, model
    assert runtime["spec"]["protocolVersions"] == ["v1", "v2"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    assert container["name"] == "kserve-container", "KServe looks for this name"
    assert re.fullmatch(r"(hf|s3|gs|pvc|https)://\S+", model["storageUri"]), model


@case(own=None)
def ports_and_probes_lead_to_what_listens():
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    port, = container["ports"]
    assert env["RESNEXTD_LISTEN"] == f"0.0.0.0:{port['containerPort']}"
    assert runtime["spec"]["annotations"]["prometheus.kserve.io/port"] == str(port["containerPort"])
    routes = read("src/http/routes.def")
    assert f'"{runtime["spec"]["annotations"]["prometheus.kserve.io/path"]}"' in routes
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/livez", "port": port["containerPort"]}, probe
        assert container[probe]["failureThreshold"] >= 2, "one lost packet is no failure"
    assert container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": port["containerPort"]}
    assert '"/livez"' in routes and '"/readyz"' in routes


@case(own=None)
def a_picture_of_8_mib_fits_in_json_and_such_bodies_in_the_memory():
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    limits, body = container["resources"]["limits"], int(env["RESNEXTD_MAX_BODY_BYTES"])
    picture = base64.b64encode(bytes(8 << 20)).decode()
    assert len(json.dumps({"instances": [{"image_bytes": {"b64": picture}}]})) <= body
    cpus, memory = int(limits["cpu"]), int(re.fullmatch(r"(\d+)Gi", limits["memory"])[1]) << 30
    pictures = cpus * 6 * int(env["RESNEXTD_MAX_PIXELS"])
    assert memory >= 9 * cpus * body + 2 * (100 << 20) + cpus * (11 << 20) + pictures


@case(own=None)
def it_runs_confined_on_whole_cpus():
    limits = container["securityContext"]
    assert limits["runAsNonRoot"] and limits["readOnlyRootFilesystem"] and limits["capabilities"] == {"drop": ["ALL"]}
    assert limits["allowPrivilegeEscalation"] is False
    assert container["resources"]["requests"] == container["resources"]["limits"]


@case(own=None)
def the_daemon_serves_the_model_under_the_services_name():
    name = service["metadata"]["name"]
    args = [a.replace("{{.Name}}", name).replace("/mnt/models", os.path.join(TOP, "models/resnext29-cifar10"))
            for a in container["args"]]
    env = {entry["name"]: entry["value"] for entry in container["env"] if entry["name"] != "RESNEXTD_LISTEN"}
    daemon = os.path.join(os.environ["top_builddir"], "resnextd")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RESNEXTD_")}
    done = subprocess.run([daemon, *args, "--print-config"], env={**clean, **env}, capture_output=True, text=True)
    assert done.returncode == 0 and re.search(rf"\b{name} = \{{", done.stdout), (done.stdout, done.stderr)


SCHEMA = """
import re, sys, yaml
import kserve, kubernetes.client

def model_of(name):
    return getattr(kserve, name, None) or getattr(kubernetes.client, name, None)

def check(value, kind, where):
    listed = re.fullmatch(r"[Ll]ist\\[(.*)\\]", kind)
    mapped = re.fullmatch(r"[Dd]ict[(\\[](\\w+), (.*)[)\\]]", kind)
    if listed or mapped:
        assert isinstance(value, list if listed else dict), f"{where}: {value!r} is no {kind}"
        for key, item in enumerate(value) if listed else value.items():
            check(item, listed[1] if listed else mapped[2], f"{where}.{key}")
    elif kind in ("str", "int", "bool", "float"):
        assert type(value).__name__ == kind, f"{where}: {value!r} is no {kind}"
    elif kind == "object":
        return
    else:
        check_object(value, kind, where)

def check_object(value, kind, where):
    model = model_of(re.sub(r"^K8sIo.*?V1", "V1", kind)) or model_of(kind)
    assert model and isinstance(value, dict), f"{where}: {value!r} is no {kind}"
    keys = {json: python for python, json in model.attribute_map.items()}
    assert set(value) <= set(keys), f"{where}: {set(value) - set(keys)} is not in {kind}"
    model(**{keys[key]: item for key, item in value.items()})  # checks what is required
    for key, item in value.items():
        check(item, model.openapi_types[keys[key]], f"{where}.{key}")

for document in yaml.safe_load_all(open(sys.argv[1])):
    version = document["apiVersion"].split("/")[1].capitalize()
    check(document, version + document["kind"], document["kind"])
for wrong in ({"kind": 1}, {"spec": {"containers": [{}]}}, {"spec": {"containers": [{"name": "a", "x": 1}]}},
              {"spec": {}}):
    try:
        check(wrong, "V1alpha1ClusterServingRuntime", "wrong")
    except (AssertionError, ValueError):
        continue
    sys.exit(f"{wrong} passed")
"""

CLIENT = """
import asyncio, base64, sys
import kserve

async def main(url, name, picture):
    text = base64.b64encode(picture).decode()
    for protocol, ask in (("v1", {"instances": [{"image_bytes": {"b64": text}}, {"data": text}]}),
                          ("v2", kserve.InferRequest(name, [kserve.InferInput("image", [1], "BYTES", [text])]))):
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol=protocol))
        assert await client.is_model_ready(url, model_name=name), protocol
        answer = await client.infer(url, ask, model_name=name)
        if protocol == "v1":
            assert [len(p["predictions"]) for p in answer["predictions"]] == [5, 5], answer
        else:
            assert {o.name for o in answer.outputs} == {"logits", "probabilities"}, answer

asyncio.run(main(sys.argv[1], sys.argv[2], sys.stdin.buffer.read()))
"""


def run_python(program, *args, data=b""):
    if subprocess.run([PYTHON, "-c", "import kserve"], capture_output=True).returncode != 0:
        raise harness.Skip("no kserve; KSERVE_PYTHON may name a Python that has it")
    done = subprocess.run([PYTHON, "-c", program, *args], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-1500:]


@case(own=None, seconds=60)
def it_is_as_kserves_models_say():
    run_python(SCHEMA, FILE)


@case(seconds=60)
def kserves_client_is_served(daemon):
    run_python(CLIENT, "http://%s:%d" % daemon.address, harness.MODEL_NAME, data=reference()[0])


if __name__ == "__main__":
    harness.main()
