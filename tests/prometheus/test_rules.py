#!/usr/bin/python3 -B
"""The alert rules and the dashboard: promtool checks and tests them, and every metric and label value
that they name is one that the daemon shows."""
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import harness
from harness import Skip, case

RULES = os.path.join(harness.TOP, "etc/prometheus/resnextd.rules.yml")
DASHBOARD = os.path.join(harness.TOP, "etc/grafana/resnextd.json")


def promtool(*words):
    if not shutil.which("promtool"):
        raise Skip("there is no promtool")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, cwd=harness.WORK)
    assert done.returncode == 0, done.stdout + done.stderr


def rules():
    with open(RULES) as file:
        return file.read()


def queries():
    """The expressions of the dashboard."""
    with open(DASHBOARD) as file:
        panels = json.load(file)["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(found) >= len(panels) > 8, found
    return found


@case(own=None)
def promtool_finds_no_fault_in_the_rules():
    promtool("check", "rules", RULES)


@case(own=None)
def each_alert_fires_when_it_must():
    shutil.copy(RULES, harness.WORK)
    shutil.copy(os.path.join(HERE, "resnextd.rules.test.yml"), harness.WORK)
    promtool("test", "rules", "resnextd.rules.test.yml")


@case(own=None)
def each_alert_is_tested():
    with open(os.path.join(HERE, "resnextd.rules.test.yml")) as file:
        tested = file.read()
    alerts = re.findall(r"alert: (\w+)", rules())
    fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts", tested))
    assert len(alerts) > 5 and set(alerts) == fired, set(alerts) ^ fired


@case(own=None)
def promtool_can_read_the_dashboards_queries():
    lines = "".join(f"      - record: q{i}\n        expr: {json.dumps(q.replace('$__rate_interval', '5m'))}\n"
                    for i, q in enumerate(queries()))
    promtool("check", "rules", harness.write("queries.yml", "groups:\n  - name: q\n    rules:\n" + lines))


@case()
def every_metric_and_label_value_exists(daemon):
    daemon.get("/nothing")
    metrics = daemon.metrics()
    names = {name for name, _ in metrics}
    values = {(key, value) for _, labels in metrics for key, value in labels}
    texts = [rules(), *queries()]
    for text in texts:
        used = set(re.findall(r"\b((?:resnextd|process)_[a-z_]+)\b", re.sub(r'"[^"]*"', "", text)))
        used -= {"resnextd_stage_duration_seconds"}  # in a sentence, for the histogram
        assert used <= names, used - names
        for key, alternatives in re.findall(r'(reason|endpoint|result|stage)=~?"([^"]+)"', text):
            for value in alternatives.split("|"):
                assert (key, value) in values, (key, value)


if __name__ == "__main__":
    harness.main()
