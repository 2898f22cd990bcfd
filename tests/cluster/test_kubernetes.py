#!/usr/bin/python3 -B
"""etc/kubernetes/resnextd.yaml fits together, and fits the daemon: names, ports, paths, times, metrics."""
import os
import re
import subprocess
import sys
import tempfile

TOP = os.environ["top_srcdir"]
DAEMON = os.path.join(os.environ["top_builddir"], "resnextd")
SECONDS_BETWEEN = 10  # of grace, beyond what a stop may take

try:
    import yaml
except ImportError:
    print("1..0 # SKIP there is no python3-yaml")
    sys.exit(0)


def no_duplicates(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"a key twice, {node.start_mark}"
    return loader.construct_mapping(node, deep=True)


class Strict(yaml.SafeLoader):
    pass


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG,
                       lambda loader, node: no_duplicates(loader, node))

with open(os.path.join(TOP, "etc/kubernetes/resnextd.yaml")) as file:
    documents = list(yaml.load_all(file, Strict))
kinds = {document["kind"]: document for document in documents}
pod = kinds["Deployment"]["spec"]["template"]
container, = pod["spec"]["containers"]
configuration = kinds["ConfigMap"]["data"]["resnextd.conf"]


def option(key, fallback):
    found = re.search(rf"^{key} = (\d+);", configuration, re.M)
    return int(found[1]) if found else fallback


def read(path):
    with open(os.path.join(TOP, path)) as file:
        return file.read()


def every_object_is_of_a_stable_api():
    assert {kind: d["apiVersion"] for kind, d in kinds.items()} == {
        "ConfigMap": "v1", "Service": "v1", "Deployment": "apps/v1", "PodDisruptionBudget": "policy/v1",
        "HorizontalPodAutoscaler": "autoscaling/v2", "NetworkPolicy": "networking.k8s.io/v1"}
    assert len(documents) == len(kinds)
    for document in documents:
        assert re.fullmatch("[a-z0-9-]+", document["metadata"]["name"])
        assert set(document) <= {"apiVersion", "kind", "metadata", "spec", "data"}, set(document)


def selectors_find_the_pods():
    labels = pod["metadata"]["labels"].items()
    spread, = pod["spec"]["topologySpreadConstraints"]
    for selector in (kinds["Deployment"]["spec"]["selector"]["matchLabels"],
                     kinds["Service"]["spec"]["selector"], spread["labelSelector"]["matchLabels"],
                     kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
                     kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]):
        assert selector and selector.items() <= labels, selector


def ports_lead_to_what_listens():
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listens = {name: int(re.search(rf'^{name} = \[ "0\.0\.0\.0:(\d+)" \];', configuration, re.M)[1])
               for name in ("listen", "admin_listen")}
    assert ports == {"http": listens["listen"], "admin": listens["admin_listen"]}
    assert [port["targetPort"] for port in kinds["Service"]["spec"]["ports"]] == ["http"]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["admin"])
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env["RESNEXTD_LISTEN"] == f"0.0.0.0:{ports['http']}", "the environment counts more"


def probes_ask_for_paths_that_exist():
    routes = read("src/http/routes.def")
    for probe, path in (("startupProbe", "/readyz"), ("readinessProbe", "/livez"),
                        ("livenessProbe", "/livez")):
        assert container[probe]["httpGet"] == {"path": path, "port": "admin"}, probe
        assert f'"{path}"' in routes, path
        assert container[probe]["failureThreshold"] >= 2, "one lost packet is no failure"


def reloads_are_not_for_everybody():
    policy = kinds["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    open_to_all = {port["port"] for rule in policy["ingress"] if not rule.get("from") for port in rule["ports"]}
    named = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert open_to_all == {"http"} and named == {port["name"] for port in container["ports"]}


def a_stop_has_the_time_it_may_take():
    program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "/bin/sleep"
    needs = int(seconds) + option("drain_grace_ms", 0) / 1000 + option("drain_timeout_s", 30)
    assert pod["spec"]["terminationGracePeriodSeconds"] >= needs + SECONDS_BETWEEN, needs


def an_update_or_a_drained_node_leaves_pods():
    update = kinds["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert update == {"maxUnavailable": 0, "maxSurge": 1}
    assert kinds["PodDisruptionBudget"]["spec"]["maxUnavailable"] < \
        kinds["HorizontalPodAutoscaler"]["spec"]["minReplicas"]


def the_autoscaler_counts_what_the_daemon_exports():
    scaler = kinds["HorizontalPodAutoscaler"]["spec"]
    target = kinds["Deployment"]
    assert scaler["scaleTargetRef"] == {"apiVersion": target["apiVersion"], "kind": "Deployment",
                                        "name": target["metadata"]["name"]}
    assert "replicas" not in target["spec"], "it would undo the scaling at every change"
    assert 1 < scaler["minReplicas"] < scaler["maxReplicas"]
    names = [m["pods"]["metric"]["name"] for m in scaler["metrics"] if m["type"] == "Pods"]
    assert names == ["resnextd_queue_depth"]
    for name in names:
        assert f'"{name}"' in read("src/serve/metrics.def"), name
    value = int(next(m for m in scaler["metrics"] if m["type"] == "Pods")["pods"]["target"]["averageValue"])
    assert 1 <= value < option("queue_limit", 8 * workers()), "a queue that is never that long"


def workers():
    return int(container["resources"]["limits"]["cpu"])


def resources_are_guaranteed_and_hold_the_uploads():
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    memory = int(re.fullmatch(r"(\d+)Gi", resources["limits"]["memory"])[1]) << 30
    bodies = (option("queue_limit", 8 * workers()) + workers()) * option("max_body_bytes", 16 << 20)
    weights = 2 * (100 << 20) + workers() * (11 << 20)
    pictures = workers() * 6 * option("max_pixels", 100_000_000)
    assert memory >= bodies + weights + pictures, (memory, bodies, weights, pictures)


def it_runs_confined():
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]}}
    user = pod["spec"]["securityContext"]["runAsUser"]
    assert f"\nUSER {user}:{user}\n" in read("Containerfile"), "the image's user is another one"


def volumes_are_mounted():
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert set(volumes) == set(mounts) and all(mount["readOnly"] for mount in mounts.values())
    assert volumes["configuration"]["configMap"]["name"] == kinds["ConfigMap"]["metadata"]["name"]
    folder = mounts["configuration"]["mountPath"]
    assert container["args"] == ["--config", f"{folder}/resnextd.conf"]
    path = re.search(r'path = "([^"]*)"', configuration)[1]
    assert path.startswith(mounts["models"]["mountPath"] + "/"), path


def the_daemon_accepts_the_configuration():
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RESNEXTD_")}
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(configuration)
        file.flush()
        command = [DAEMON, "--config", file.name, "--model", os.path.join(TOP, "models/resnext29-cifar10")]
        for action in ("--check-config", "--print-config"):
            done = subprocess.run([*command, action], env=clean, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    assert f"drain_timeout_s = {option('drain_timeout_s', 30)};" in done.stdout, done.stdout


CASES = [every_object_is_of_a_stable_api, selectors_find_the_pods, ports_lead_to_what_listens,
         probes_ask_for_paths_that_exist, reloads_are_not_for_everybody, a_stop_has_the_time_it_may_take,
         an_update_or_a_drained_node_leaves_pods, the_autoscaler_counts_what_the_daemon_exports,
         resources_are_guaranteed_and_hold_the_uploads, it_runs_confined, volumes_are_mounted,
         the_daemon_accepts_the_configuration]
failed = 0
print(f"1..{len(CASES)}")
for number, function in enumerate(CASES, 1):
    try:
        function()
        print(f"ok {number} - {function.__name__.replace('_', ' ')}")
    except (AssertionError, KeyError, TypeError, ValueError) as failure:
        failed += 1
        print(f"# {type(failure).__name__}: {str(failure)[:1000]!r}")
        print(f"not ok {number} - {function.__name__.replace('_', ' ')}")
sys.exit(1 if failed else 0)
