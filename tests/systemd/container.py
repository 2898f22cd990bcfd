"""A container of this Debian with a systemd of its own, in which what `make install` puts down runs.

The root comes from debootstrap, once, into the build directory (or RESNEXT_TEST_ROOT). Commands run in
the container's namespaces; the test itself enters its network, so that sockets lead there."""
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess

import harness
from harness import Skip

ROOT = os.environ.get("RESNEXT_TEST_ROOT", os.path.join(harness.BUILD, "tests/systemd/root"))
MIRROR = os.environ.get("RESNEXT_TEST_MIRROR")  # debootstrap's own choice without
CLONE_NEWNET = 0x40000000
PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(*words, check=True, seconds=600, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds, **more)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.returncode}: {done.stdout[-2000:]}"
    return done.stdout


def need_tools():
    if os.geteuid() != 0:
        raise Skip("only root can boot a container")
    for tool in ("debootstrap", "systemd-nspawn", "nsenter"):
        if not shutil.which(tool):
            raise Skip(f"there is no {tool}")


def release():
    with open("/etc/os-release") as file:
        return re.search(r"^VERSION_CODENAME=(\w+)$", file.read(), re.M)[1]


def packages():
    """Of systemd, and of the libraries that the daemon names itself."""
    named = re.findall(r"^\s+NEEDED\s+(\S+)$", run("objdump", "-p", harness.DAEMON), re.M)
    linked = dict(re.findall(r"^\s+(\S+) => (\S+)", run("ldd", harness.DAEMON), re.M))
    found = {"systemd", "systemd-sysv", "dbus"}
    for path in {os.path.realpath(linked[name]) for name in named if name in linked}:
        # Where /lib is a link to /usr/lib, dpkg knows the file by either.
        owner = run("dpkg", "-S", path, check=False)
        if not owner.startswith("lib"):
            owner = run("dpkg", "-S", path.removeprefix("/usr"))
        found.add(owner.split(":")[0])
    return ",".join(sorted(found))


def make_root():
    """The root file system, made where there is none."""
    if os.path.exists(os.path.join(ROOT, "usr/lib/systemd/systemd")):
        return
    shutil.rmtree(ROOT + ".new", ignore_errors=True)
    os.makedirs(os.path.dirname(ROOT), exist_ok=True)
    try:
        run("debootstrap", "--variant=minbase", f"--include={packages()}", release(), ROOT + ".new",
            *([MIRROR] if MIRROR else []))
    except AssertionError as failure:
        raise Skip(f"no root from {MIRROR or 'the default mirror'}: {str(failure)[-150:]!r}") from None
    os.rename(ROOT + ".new", ROOT)


def configuration_folder():
    """Where the daemon, as it was configured, looks for its configuration."""
    with open(os.path.join(harness.BUILD, "Makefile")) as file:
        lines = dict(re.findall(r"^(prefix|sysconfdir) = (.*)$", file.read(), re.M))
    return os.path.join(lines["sysconfdir"].replace("${prefix}", lines["prefix"]), "resnextd")


def install():
    """What is built goes into the root, and nothing of earlier tests is left there."""
    for name in ("usr/local", configuration_folder().lstrip("/"), "var/log/journal"):
        shutil.rmtree(os.path.join(ROOT, name), ignore_errors=True)
    units = os.path.join(ROOT, "etc/systemd/system")
    for name in os.listdir(units):
        if name.startswith("resnextd"):
            shutil.rmtree(os.path.join(units, name))
    run("make", "-C", harness.BUILD, "install", f"DESTDIR={ROOT}")
    # The reference is of float32.
    with open(os.path.join(ROOT, "etc/systemd/system.conf"), "w", encoding="ascii") as file:
        file.write("[Manager]\nDefaultEnvironment=RESNEXTD_PRECISION=f32\n")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def control_groups(pid):
    """Path by controller; "" is version 2."""
    with open(f"/proc/{pid}/cgroup") as file:
        return {names: path for _, names, path in
                (line.strip().split(":", 2) for line in file)}


class Container:
    """Booted when the constructor returns; close() ends it."""

    def __init__(self):
        self.memory_group = None
        self.log = open(os.path.join(harness.WORK, "console"), "w+b")
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "-q", "-D", ROOT, "--register=no", "--keep-unit", "--private-network",
             "--console=pipe", "-b"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=harness.die_with_parent)
        try:
            self.leader = harness.wait_until("the container", self.find_leader, 20)
            harness.wait_until("its boot", self.booted, 40)
        except AssertionError:
            self.close()
            with open(self.log.name, errors="replace") as file:
                raise Skip(f"no container boots here: {file.read()[-200:]!r}") from None

        self.delegate_memory()
        with open(f"/proc/{self.leader}/ns/net") as namespace:
            assert libc.setns(namespace.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    def find_leader(self):
        assert self.nspawn.poll() is None, "it ended"
        for pid in children(self.nspawn.pid):
            with contextlib.suppress(FileNotFoundError):  # some of them do not live long
                if os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid"):
                    return pid
        return None

    def booted(self):
        assert self.nspawn.poll() is None, "it ended"
        return self.enter("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

    def delegate_memory(self):
        """With version 1 of control groups nspawn leaves the container none of memory, and MemoryMax=
        without effect: it gets one below this process's own."""
        mine = control_groups("self").get("memory")
        if mine is None:
            return
        top = os.path.dirname(control_groups(self.leader)["name=systemd"])
        self.enter("sh", "-e", "-c", "mount -o remount,bind,rw /sys/fs/cgroup/memory; "
                   f"mkdir -p /sys/fs/cgroup/memory{top}; systemctl daemon-reexec")
        self.memory_group = "/sys/fs/cgroup/memory" + mine.rstrip("/") + top

    def close(self):
        """Powers off; what is left is killed."""
        if self.nspawn.poll() is None:
            self.nspawn.send_signal(signal.SIGTERM)
            try:
                self.nspawn.wait(30)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()
        for folder, _, _ in os.walk(self.memory_group or "", topdown=False):
            os.rmdir(folder)
        self.log.close()

    def enter(self, *words, **more):
        """Output of a command in the container."""
        return run("nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "--",
                   "env", "-i", "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", *words, **more)

    def systemctl(self, *words, **more):
        return self.enter("systemctl", *words, **more)

    def show(self, unit):
        """The unit's properties."""
        lines = self.systemctl("show", unit).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def pid(self, unit="resnextd.service"):
        """Main process of a unit as this side numbers it; None if there is none."""
        inside = self.show(unit)["MainPID"]
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/status") as file:
                    numbers = re.search(r"^NSpid:\s+(.*)$", file.read(), re.M)[1].split()
                if len(numbers) > 1 and numbers[-1] == inside and \
                        os.readlink(f"/proc/{name}/ns/pid") == os.readlink(f"/proc/{self.leader}/ns/pid"):
                    return int(name)
            except (FileNotFoundError, ProcessLookupError):
                pass
        return None

    def journal(self, unit="resnextd.service"):
        """Entries of the journal, oldest first, as dictionaries."""
        self.enter("journalctl", "--sync")
        lines = self.enter("journalctl", "-u", unit, "-o", "json", "--no-pager", "-q").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def write(self, path, text):
        path = os.path.join(ROOT, path.lstrip("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def configure(self, name, text):
        """A file in /etc/resnextd, or where else it was configured to be."""
        self.write(os.path.join(configuration_folder(), name), text)

    def drop_in(self, unit, text, name="test"):
        """Adds to a unit, by what an administrator would write."""
        self.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)
        self.systemctl("daemon-reload")

    def forget_drop_ins(self):
        units = os.path.join(ROOT, "etc/systemd/system")
        for name in os.listdir(units):
            if name.startswith("resnextd") and name.endswith(".d"):
                shutil.rmtree(os.path.join(units, name))
        self.systemctl("daemon-reload")


def stop_thread(tid):
    """Stops one thread of another process by ptrace, the rest running, until it is killed; returns the
    child that holds it, to be waited for."""
    ready, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        assert os.read(ready, 1) == b"s", "ptrace failed"
        os.close(ready)
        return child
    try:
        libc.prctl(1, signal.SIGKILL)
        stopped = libc.ptrace(PTRACE_SEIZE, tid, None, None) == 0 and \
            libc.ptrace(PTRACE_INTERRUPT, tid, None, None) == 0 and \
            os.WIFSTOPPED(os.waitpid(tid, WALL)[1])
        os.write(tell, b"s" if stopped else b"f")
        while not os.WIFEXITED(status := os.waitpid(tid, WALL)[1]) and not os.WIFSIGNALED(status):
            pass
    finally:
        os._exit(0)


def threads(pid, name):
    """Threads of a process whose names begin so."""
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm") as file:
            if file.read().startswith(name):
                found.append(int(tid))
    return found
