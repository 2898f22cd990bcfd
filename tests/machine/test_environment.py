#!/usr/bin/python3 -B
"""An odd environment: a read-only file system, a user without rights, no /proc, no environment, a clock
far off, a manager that does not read. The daemon works, or ends with one line that says why not."""
import hashlib
import os
import re
import shutil
import signal
import socket
import time

import wrong
from wrong import harness
from harness import SLOW, Daemon, case, path, refuse, run, shim, tool, wait_until, write

READ_ONLY = ("awk '{print $5}' /proc/self/mountinfo | while read -r m; do"
             " mount -o remount,bind,ro \"$m\" 2>/dev/null || true; done;"
             " ! touch /tmp/resnextd-writable 2>/dev/null")


# --- a read-only file system ---

@case(own=None)
def everything_read_only_is_served():
    with Daemon(wrap=wrong.namespace(READ_ONLY)) as daemon:
        daemon.good()
        daemon.reload()
        assert "reloaded" in daemon.log(), daemon.log()
        daemon.recovered()


@case(own=None)
def a_socket_on_a_read_only_file_system_is_refused():
    name = path("ro.sock")
    refuse(["--listen", f"unix:{name}"], words=[name, "Read-only file system"], listen=False,
           wrap=wrong.namespace(READ_ONLY))


def default_file():
    """The configuration that is read without --config."""
    return re.search(r"default (/\S+/resnextd\.conf),", run("--help")[1])[1]


def asked_without_key(daemon):
    with daemon.connect() as connection:
        return connection.ask("POST", "/classify", body=harness.reference()[0]).status


@case(own=None)
def row_77_a_reload_without_the_configuration_file_changes_nothing():
    """That of its default place, which may be missing at a start."""
    folder, file = path("etc"), default_file()
    place, name = os.path.split(file)
    ours = os.path.join(folder, os.path.basename(place), name)
    shutil.copytree(os.path.dirname(place), folder, symlinks=True)
    os.makedirs(os.path.dirname(ours), exist_ok=True)
    key = "0123456789abcdef-key"
    keys = write("environment.keys", hashlib.sha256(key.encode()).hexdigest() + "\n")
    os.chmod(keys, 0o600)
    with open(ours, "w") as text:
        text.write(f'api_keys = "{keys}";\n')
    wrap = wrong.namespace(f"mount --bind {folder} {os.path.dirname(place)}")
    with Daemon(wrap=wrap, config=None, wait=False) as daemon:
        daemon.headers = [("X-API-Key", key)]
        daemon.wait_ready()
        assert asked_without_key(daemon) == 401
        os.rename(ours, ours + ".away")
        daemon.reload()
        said = f"the reload failed, nothing has changed: {file} is gone or empty"
        assert daemon.log().count(said) == 1, daemon.log()
        with open(ours, "w"):
            daemon.reload()  # of an editor that truncates the file before it writes
        assert daemon.log().count(said) == 2, daemon.log()
        assert asked_without_key(daemon) == 401
        os.rename(ours + ".away", ours)
        daemon.reload()
        assert "reloaded after" in daemon.log()
        assert asked_without_key(daemon) == 401
        daemon.recovered()


def calibrate(wrap):
    folder = path("calibrated")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(harness.MODEL, folder)
    before = sorted(os.listdir(folder))
    with open(os.path.join(folder, "calibration.json"), "rb") as file:
        old = file.read()
    code, _, errors = tool("calibrate", folder, os.path.join(harness.DATA, "pictures"),
                                 wrap=wrap)
    assert sorted(os.listdir(folder)) == before, os.listdir(folder)
    with open(os.path.join(folder, "calibration.json"), "rb") as file:
        assert file.read() == old, "the calibration has changed"
    assert code == 1 and folder in errors, (code, errors)
    return errors


@case(own=None, seconds=40)
def calibrate_says_that_it_cannot_write():
    assert "Read-only file system" in calibrate(wrong.namespace(READ_ONLY))
    assert "Permission denied" in calibrate(wrong.unprivileged())


@case(own=None)
def init_says_that_it_cannot_write():
    small = "blocks=1:C=1:d=8:stem=cifar:stem_width=8:out=16:classes=3:size=24"
    code, _, errors = tool("init", small, path("new"), wrap=wrong.namespace(READ_ONLY))
    assert code == 1 and "Read-only file system" in errors, (code, errors)
    assert not os.path.exists(path("new"))


# --- a user without rights ---

@case(own=None)
def a_user_without_rights_and_home_serves():
    with Daemon(wrap=wrong.unprivileged(), env={"HOME": "/nonexistent"}) as daemon:
        daemon.recovered()


def start_and_die(wrap, tell):
    """In a process of its own: starts a daemon, tells its number, and is killed."""
    try:
        os.write(tell, str(Daemon(wrap=wrap).pid).encode())
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def is_dead(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@case(own=None)
def a_daemon_of_another_user_does_not_outlive_its_test():
    wrap, (hear, tell) = wrong.unprivileged(), os.pipe()
    child = os.fork()
    if child == 0:
        start_and_die(wrap, tell)
    os.close(tell)
    os.waitpid(child, 0)
    with open(hear, "rb") as told:
        daemon = int(told.read())
    try:
        wait_until("the daemon to end", lambda: is_dead(daemon))
    except AssertionError:
        os.kill(daemon, signal.SIGKILL)
        raise


@case(own=None)
def a_port_that_needs_rights_says_what_to_do():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
        if int(file.read()) <= 80:
            raise harness.Skip("every port is free here")
    refuse(["--listen", "127.0.0.1:80"], listen=False, wrap=wrong.unprivileged(),
           words=["127.0.0.1:80", "Permission denied", "1024", "CAP_NET_BIND_SERVICE"])


@case(own=None)
def what_may_not_be_read_is_named():
    wrap = wrong.unprivileged()
    closed = path("closed")
    shutil.copytree(harness.MODEL, closed)
    os.chmod(closed, 0o700)
    refuse(["--model", closed], words=[closed, "Permission denied"], model=False, wrap=wrap)
    secret = write("secret.conf", "")
    os.chmod(secret, 0o600)
    code, _, errors = run("--config", secret, wrap=wrap)
    assert code == 1 and secret in errors, (code, errors)
    assert "Permission denied" in errors and len(errors.splitlines()) == 1, errors
    forbidden = path("forbidden")
    os.mkdir(forbidden, 0o700)
    name = os.path.join(forbidden, "socket")
    refuse(["--listen", f"unix:{name}"], words=[name, "Permission denied"], listen=False, wrap=wrap)


# --- less than a process usually has ---

@case(own=None)
def an_empty_environment_is_enough():
    with Daemon(wrap=("env", "-i"), wait=False) as daemon:
        wait_until("a listener", lambda: "ready after" in daemon.log())
        daemon.good()


@case(own=None)
def closed_standard_streams_are_no_hole():
    with Daemon(wrap=wrong.after("exec 0<&- 1>&- 2>&-")) as daemon:
        daemon.recovered()
        assert daemon.log() == "", daemon.log()


@case(own=None)
def without_proc_and_sys_it_serves_within_the_affinity():
    if harness.SANITIZER:
        raise harness.Skip("the leak checker needs /proc")
    wrap = wrong.namespace("umount -l /sys 2>/dev/null || true; umount -l /proc;"
                           " ! test -e /proc/self; export OPENBLAS_NUM_THREADS=2")
    one = str(min(os.sched_getaffinity(0)))
    with Daemon(wrap=("taskset", "-c", one, *wrap)) as daemon:
        # Only by /proc can it be executed again.
        assert "cannot restart with OPENBLAS_NUM_THREADS=1" in daemon.log(), daemon.log()
        assert daemon.metrics().sum("resnextd_workers") == 1
        daemon.good()
        daemon.reload()
        daemon.good()


@case(own=None)
def without_devices_it_serves():
    with Daemon(wrap=wrong.namespace("mount -t tmpfs none /dev; ! test -e /dev/null")) as daemon:
        daemon.recovered()


@case(own=None)
def a_working_folder_that_is_gone_is_not_needed():
    gone = path("gone")
    with Daemon(wrap=wrong.after(f"mkdir {gone}; cd {gone}; rmdir {gone}")) as daemon:
        daemon.reload()
        assert "reloaded" in daemon.log(), daemon.log()
        daemon.recovered()


@case(own=None)
def garbage_in_time_zone_and_locale_changes_nothing():
    for garbage in ("\x01\xff", "../../etc/passwd", "X" * 5000, "de_DE.UTF-8"):
        names = ("TZ", "TZDIR", "LC_ALL", "LANG", "LANGUAGE", "MALLOC_ARENA_MAX")
        with Daemon(env={name: garbage for name in names}) as daemon:
            # The loader of glibc 2.41 complains of MALLOC_ARENA_MAX first.
            assert re.match(r"(WARNING: ld\.so: .*\n)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ",
                            daemon.log()), daemon.log()
            daemon.good()


# --- time ---

@case(own=None, seconds=40)
def a_clock_that_is_far_off_changes_dates_alone():
    moments = {-3600: ("Wed, 31 Dec 1969", "1969-12-31T"), 10: ("Thu, 01 Jan 1970", "1970-01-01T"),
               946684700: ("Fri, 31 Dec 1999", "1999-12-31T"),
               2147483700: ("Tue, 19 Jan 2038", "2038-01-19T"),
               4102444900: ("Fri, 01 Jan 2100", "2100-01-01T")}
    for moment, (date, stamp) in moments.items():
        env = {"LD_PRELOAD": shim("jumping"), "CLOCK_SHIFT": str(moment - int(time.time()))}
        with Daemon(env=env) as daemon:
            answer = daemon.get("/readyz")
            assert answer.status == 200 and answer.header("date").startswith(date), answer
            assert daemon.log().startswith(stamp), daemon.log()
            assert abs(daemon.metrics().sum("process_start_time_seconds") - moment) < 60
            daemon.good()


# --- a manager that does not read ---

@case(own=None, seconds=60)
def a_manager_that_does_not_read_holds_nothing_up():
    name = path("deaf.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf, socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        deaf.bind(name)
        filler.setblocking(False)
        try:
            while True:
                filler.sendto(b"x", name)
        except BlockingIOError:
            pass
        with Daemon(wait=False, env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(int(8e6 * SLOW))}
                    ) as daemon:
            wait_until("ready", lambda: "ready after" in daemon.log())
            daemon.good()
            daemon.process.send_signal(signal.SIGHUP)
            wait_until("a reload", lambda: "reloaded" in daemon.log())
            daemon.good()
            daemon.stop()
            assert "cannot notify the service manager" in daemon.log(), daemon.log()


if __name__ == "__main__":
    harness.main()
