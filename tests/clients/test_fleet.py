#!/usr/bin/python3 -B
"""clients/fleet.py against what queueing theory knows, and its own promises."""
import importlib.machinery
import importlib.util
import os
import subprocess
import sys

PATH = os.path.join(os.environ["top_srcdir"], "clients/fleet.py")
loader = importlib.machinery.SourceFileLoader("fleet", PATH)
fleet = importlib.util.module_from_spec(importlib.util.spec_from_loader("fleet", loader))
loader.exec_module(fleet)
ENDLESS = 10 ** 9


def close(got, want, share):
    assert abs(got - want) <= share * want, f"{got}, wanted {want}"


def one_worker_waits_as_pollaczek_and_khinchine_say():
    for load in (0.3, 0.5, 0.8):
        fixed = fleet.simulate(load * 100, [10.0], 1, 1, ENDLESS, arrivals=100000)
        close(fixed.mean_wait(), load * 10 / (2 * (1 - load)), 0.05)
        times = [5.0, 15.0]  # E[S^2] = 125
        mixed = fleet.simulate(load * 100, times, 1, 1, ENDLESS, arrivals=100000)
        close(mixed.mean_wait(), load * 100 / 1000 * 125 / (2 * (1 - load)), 0.05)


def many_workers_with_exponential_times_wait_as_erlang_says():
    import math
    times = [-10 * math.log((i + 0.5) / 10000) for i in range(10000)]
    servers, load = 4, 0.8
    offered = servers * load
    top = offered ** servers / math.factorial(servers) / (1 - load)
    waits = top / (sum(offered ** k / math.factorial(k) for k in range(servers)) + top)
    result = fleet.simulate(offered * 100, times, 1, servers, ENDLESS, arrivals=100000)
    close(result.mean_wait(), waits * 10 / (servers * (1 - load)), 0.06)


def what_is_too_much_is_refused():
    result = fleet.simulate(400, [10.0], 1, 2, 16)
    close(result.refused, 0.5, 0.02)
    assert result.latencies[-1] <= 10 * (16 / 2 + 1), "longer than the queue"


def a_queue_of_all_waits_less_than_queues_of_each():
    waits = [fleet.simulate(320, [10.0], instances, workers, ENDLESS, balance).mean_wait()
             for instances, workers, balance in ((1, 4, "least"), (4, 1, "least"), (4, 1, "random"))]
    assert waits[0] < waits[1] < waits[2], waits


def the_smallest_fleet_is_enough_and_none_is_smaller():
    setting = {"workers": 4, "queue_limit": 32, "arrivals": 50000}
    instances, result = fleet.smallest(1000, 120, [50.0], **setting)
    assert result.latency(0.99) <= 120 and result.refused == 0
    less = fleet.simulate(1000, [50.0], instances - 1, **setting)
    assert less.latency(0.99) > 120 or less.refused > 0, "one less would do"
    assert fleet.smallest(1000, 49, [50.0], **setting) is None


def run(*words, text=None):
    return subprocess.run([PATH, *words], input=text, capture_output=True, text=True)


def the_commands_of_its_help_work():
    table = run("--ms", "60", "--workers", "16", "--arrivals", "20000")
    assert table.returncode == 0 and "266.7 images/s" in table.stdout, table
    rows = [line for line in table.stdout.splitlines() if line.startswith("| ") and "/s" not in line]
    assert len(rows) - 1 == len(fleet.LOADS), table.stdout
    sized = run("--times", "/dev/stdin", "--workers", "16", "--rate", "1000", "--p99", "250", text="50\n70\n")
    assert sized.returncode == 0 and sized.stdout.startswith("4 instances"), sized


LOGS = {
    "text": """2026-11-30T20:11:25.454Z info ready after 76 ms
Nov 30 20:11:26 host resnextd[7]: 2026-11-30T20:11:26.829Z info request id="1f" path="/x inference_ms=9000 \\" =" \
status=200 pictures=1 queue_ms=99 decode_ms=0.5 preprocess_ms=0.5 inference_ms=49 total_ms=150
2026-11-30T20:11:26.955Z info request status=200 pictures=2 queue_ms=1 decode_ms=4 preprocess_ms=6 inference_ms=130
2026-11-30T20:11:26.984Z info request status=415 pictures=1 decode_ms=0.002 preprocess_ms=0 inference_ms=0 total_ms=0
2026-11-30T20:11:26.984Z info request status=404 total_ms=0.137
""",
    "json": """{"time":"2026-11-30T20:11:23.683Z","level":"info","message":"ready after 48 ms"}
{"message":"request","status":200,"pictures":1,"queue_ms":99,"decode_ms":0.5,"preprocess_ms":0.5,"inference_ms":49}
Nov 30 host resnextd[7]: {"pictures":2,"decode_ms":4,"preprocess_ms":6,"inference_ms":130.0}
{"message":"request","status":415,"pictures":1,"decode_ms":0.002,"preprocess_ms":0,"inference_ms":0}
{"pictures":null,"decode_ms":"","preprocess_ms":[],"inference_ms":{}}
""",
}


def a_log_gives_the_times_of_its_images():
    for name, text in LOGS.items():
        assert fleet.read_times(text.splitlines()) == [50, 70, 70], name
        sized = run("--times", "/dev/stdin", "--workers", "16", "--rate", "1000", "--p99", "250", text=text)
        assert sized.returncode == 0 and sized.stdout.startswith("4 instances"), sized
    none = run("--times", "/dev/stdin", "--workers", "1", text=LOGS["text"].splitlines()[0])
    assert none.returncode == 2 and "nor a log with requests" in none.stderr, none
    assert len(none.stderr.splitlines()) == 1, none


def the_documents_show_what_it_prints():
    with open(os.path.join(os.environ["top_srcdir"], "CAPACITY.md")) as file:
        page = file.read()
    commands = [line.split()[2:] for line in page.splitlines() if line.startswith("    $ clients/fleet.py")]
    assert len(commands) == 2, commands
    shown = [line.strip() for line in page.splitlines()]
    for command in commands:
        for line in run(*command).stdout.splitlines():
            assert line in shown, f"{command} prints {line!r}"


def what_is_no_number_is_refused():
    for words in (["--ms", "0", "--workers", "1"], ["--ms", "nan", "--workers", "1"],
                  ["--ms", "5", "--workers", "0"], ["--workers", "1"]):
        assert run(*words).returncode == 2, words
    assert run("--ms", "60", "--workers", "1", "--rate", "5", "--p99", "10").returncode == 1
    assert run("--ms", "60", "--workers", "1", "--arrivals", "1").returncode == 0
    bad = run("--times", PATH, "--workers", "1")
    assert bad.returncode == 2 and "Traceback" not in bad.stderr, bad


CASES = [one_worker_waits_as_pollaczek_and_khinchine_say,
         many_workers_with_exponential_times_wait_as_erlang_says, what_is_too_much_is_refused,
         a_queue_of_all_waits_less_than_queues_of_each, the_smallest_fleet_is_enough_and_none_is_smaller,
         the_commands_of_its_help_work, a_log_gives_the_times_of_its_images, the_documents_show_what_it_prints,
         what_is_no_number_is_refused]
failed = 0
print(f"1..{len(CASES)}")
for number, function in enumerate(CASES, 1):
    name = function.__name__.replace("_", " ")
    try:
        function()
        print(f"ok {number} - {name}")
    except AssertionError as failure:
        failed += 1
        print(f"# {str(failure)[:1000]!r}")
        print(f"not ok {number} - {name}")
sys.exit(1 if failed else 0)
