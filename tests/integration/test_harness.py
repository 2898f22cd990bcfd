#!/usr/bin/python3 -B
"""The recovery check of the harness finds what it is there to find, and passes what is well."""
import os
import signal
import subprocess

import harness
import wire
from harness import Aftermath, Daemon, case, fails, run_case, write


@case()
def a_sound_daemon_passes(daemon):
    seen = Aftermath.seen
    daemon.recovered()
    assert Aftermath.seen == seen + 1


@case(own=True)
def connections_left_open_are_found(daemon):
    with daemon.connect() as left:
        assert left.ask("GET", "/livez").status == 200
        fails("fds back", lambda: daemon.recovered(0.3))


@case(["--max-body-bytes", str(32 << 20)])
def memory_left_behind_is_found(daemon):
    if harness.SANITIZER:
        raise harness.Skip("sanitizers keep what is freed")
    size = 24 << 20
    with daemon.connect() as left:
        left.send(wire.request("POST", "/classify", [("Content-Length", str(size))]))
        left.send(bytes(size - 1))
        harness.wait_until("it has come", lambda: daemon.resources()["rss"] > daemon.rss_before + size / 2)
        daemon.baseline["fds"] += 1  # the connection itself is well known
        fails("memory back", lambda: daemon.recovered(0.3))
        daemon.baseline["fds"] -= 1


@case(own=True)
def a_thread_left_behind_is_found(daemon):
    daemon.baseline["threads"] -= 1
    fails("threads back", lambda: daemon.recovered(0.3))
    daemon.baseline["threads"] += 1


@case(own=None)
def wrong_answers_are_found():
    with Daemon() as daemon:
        right = daemon.exactness
        daemon.exactness = {"tolerance": -1}
        fails("reference", daemon.recovered)
        daemon.exactness = right
    other = os.path.join(harness.DATA, "tiny-resnet18-style")
    with Daemon(["--model", other], model=False, wait=False) as daemon:
        fails("reference", daemon.wait_ready)
        daemon.stop()


@case(own=None)
def a_death_is_found():
    with Daemon() as daemon:
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.process.wait()
        fails("died with -9", daemon.recovered)
        daemon.checked = True


@case(own=None)
def a_report_of_a_sanitizer_is_found():
    with Daemon() as daemon:
        with open(daemon.log_path, "a") as log:
            log.write("src/http/http.c:1:2: runtime error: made up\n")
        fails("sanitizer report", daemon.check_log)
        daemon.checked = True


@case(own=None)
def a_row_whose_daemon_did_not_recover_fails():
    """Also if its case never asks: its daemon may not stop before."""
    def row_0_leaves_a_connection_open():
        with Daemon() as daemon:
            daemon.baseline["fds"] -= 2
            daemon.recovered = lambda recovered=daemon.recovered: recovered(0.3)

    def row_0_looks_at_nothing():
        write("nothing", "")
    fails("fds back", lambda: run_case(row_0_leaves_a_connection_open, None, None, "", None))
    fails("nothing looked", lambda: run_case(row_0_looks_at_nothing, None, None, "", None))


@case(own=None)
def a_case_that_does_not_exist_is_no_success():
    done = subprocess.run([__file__, "a_sound_daemon_passes", "a_sound_demon"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "Bail out! there is no case a_sound_demon\n", done


if __name__ == "__main__":
    harness.main()
