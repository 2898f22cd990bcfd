"""Runs the real daemon for a test script and speaks TAP.

A script declares cases with @case and ends with main(). Each case gets a Daemon: the script's shared
one, or with @case(options=[...]) one of its own. After each case the daemon must have recovered:
/livez says 200, the next good request gets the right answer, open files and resident memory are back
where they were. A shared daemon that failed a case is replaced, so that one failure stays one."""
import contextlib
import ctypes
import json
import math
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import wire

TOP = os.path.realpath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "../..")))
BUILD = os.path.realpath(os.environ.get("top_builddir", os.path.join(TOP, "build")))
DAEMON, TOOL = os.path.join(BUILD, "resnextd"), os.path.join(BUILD, "resnext")
DATA = os.path.join(TOP, "tests/data")
SHARED = os.path.join(TOP, "../shared")
MODEL_NAME = "resnext29-cifar10"
MODEL = os.path.join(TOP, "models", MODEL_NAME)
SANITIZER_REPORT = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:"
                              r"|src/\S+:\d+: .*(CHECK|check failed)")
# How much more may stay resident after a case, and after all cases of a daemon: free memory that malloc
# keeps of bodies and of the decoder's rows, for the next.
RSS_SLACK, RSS_SLACK_OF_ALL = 16 << 20, 24 << 20
# For an hour: then it is not that timer which ends a connection.
UPLOADS_MAY_STALL = ["--upload-timeout-ms", "3600000"]
WORK = None  # the script's own temporary directory


def sanitizer():
    """"address", "thread" or None: what the daemon was built with."""
    with open(DAEMON, "rb") as file:
        data = file.read()
    return ("thread" if b"__tsan_init" in data else
            "address" if b"__asan_init" in data else None)


def slowness():
    """What every time limit is multiplied by."""
    if "RESNEXT_TEST_SLOW" in os.environ:
        return float(os.environ["RESNEXT_TEST_SLOW"])
    return {"thread": 10.0, "address": 4.0, None: 1.0}[SANITIZER]


SANITIZER = sanitizer() if os.path.exists(DAEMON) else None
SLOW = slowness()
# Of jpegs.slow(): a worker decodes it for a third of a second and more, which sanitizers make longer.
MEGAPIXELS = {None: 95, "thread": 48, "address": 16}[SANITIZER]


def sample(inputs):
    """All of the inputs, which differ in their data only; one in eleven, thus every bit of a byte, where
    ThreadSanitizer looks, which sees in one what it sees in all."""
    return inputs[::11 if SANITIZER == "thread" else 1]


class Skip(Exception):
    """The case needs something that is absent."""


class CaseTimeout(Exception):
    """The case took longer than it may."""


def wait_until(what, condition, seconds=30.0):
    """Asks until the condition holds and returns its value; fails after the (scaled) time, and so many
    questions that this host did not just stand still."""
    end, left = time.monotonic() + seconds * SLOW, 20 * seconds
    while not (value := condition()):
        left -= 1
        if time.monotonic() > end and left < 0:
            raise AssertionError(f"waited {seconds * SLOW:.1f} s for: {what}")
        time.sleep(0.01)
    return value


class Slow(AssertionError):
    """It took longer than it may, which may be because other programs were in the way."""


def unless_slow(attempt):
    """Returns what `attempt` returns, unless it is Slow three times in a row: that is no chance."""
    for last in (False, False, True):
        try:
            return attempt()
        except Slow as failure:
            if last:
                raise
            print(f"# again: {failure}", flush=True)


def quick(seconds, act):
    """Returns what `act` returns, which must be possible within the (scaled) time."""
    def attempt():
        start = time.monotonic()
        result = act()
        took = time.monotonic() - start
        if took >= seconds * SLOW:
            raise Slow(f"{took:.2f} s, and not within {seconds * SLOW:.2f} s")
        return result
    return unless_slow(attempt)


def unless_still(attempt):
    """For what a client can only do that is never silent for long. `attempt` calls what it is given when
    it has sent something. If it fails after a second of silence, this host may have stood still: then
    there is another, of three in all."""
    for last in (False, False, True):
        times = [time.monotonic()]
        try:
            return attempt(lambda: times.append(time.monotonic()))
        except (AssertionError, OSError, wire.Closed) as failure:
            times.append(time.monotonic())
            longest = max(after - before for before, after in zip(times, times[1:]))
            if last or longest < 1:
                raise
            print(f"# again, after {longest:.1f} s of silence: {failure!r}", flush=True)


def ask(address, method, target, headers=(), body=None, seconds=60.0):
    """One request on a connection of its own, to ("HOST", PORT) or a Unix path."""
    with wire.Connection(address, seconds * SLOW) as connection:
        return connection.ask(method, target, headers, body)


def models_config(**paths):
    """The models group of a configuration; the first is the default."""
    lines = [f'{name} = {{ path = "{folder}"; default = {str(i == 0).lower()}; }};'
             for i, (name, folder) in enumerate(paths.items())]
    return "models = {\n" + "\n".join(lines) + "\n};\n"


def fails(words, act):
    """`act` fails an assertion whose message holds the words."""
    try:
        act()
    except AssertionError as failure:
        assert words in str(failure), f"no {words!r} in {failure}"
        return
    raise AssertionError(f"{words!r} was not found out")


def path(name):
    """A path in the script's temporary directory."""
    return os.path.join(WORK, name)


def write(name, text):
    """Writes a file into the temporary directory, returns its path."""
    with open(path(name), "wb" if isinstance(text, bytes) else "w") as file:
        file.write(text)
    return path(name)


def free_port():
    """(host, port) that was free a moment ago. A loopback address of its own for each daemon, so that
    tests running side by side do not meet."""
    host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()


def environment(more=None):
    """The test's environment without what would configure a daemon."""
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith(("RESNEXTD_", "LISTEN_")) and k not in (
                 "NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC", "WATCHDOG_PID")}
    return {**clean, **(more or {})}


def die_with_parent():
    """In the child: no daemon survives its test, however the test ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def tcp_rows(connection):
    """An IPv4 client's name in /proc/net/tcp, and what stands there: local and remote name, state, queues."""
    host, port = connection.sock.getsockname()
    with open("/proc/net/tcp") as file:
        rows = [line.split()[1:5] for line in file]
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}", rows


class Aftermath:
    """How the daemons came out of a fault: `seen` counts those that recovered or ended as they should.
    Where it is `wanted`, in a case named row_N_..., none of them stops before it has recovered, and a
    case after which nothing was seen has failed: its check would be missing."""
    wanted, seen = False, 0


class Daemon:
    """One running resnextd. `options` are command line words; a listener is added unless
    `listen=False`, and --config unless `config=None`. `wrap` is a command that executes another, and
    goes before it. In float32, as the goldens are, unless told otherwise. `prepare` runs in the child.
    Ready when the constructor returns, unless `wait=False`."""

    def __init__(self, options=(), env=None, listen=True, model=True, wait=True, fds=(),
                 stderr=None, config="", wrap=(), prepare=die_with_parent):
        self.serial = f"{random.getrandbits(48):012x}"
        self.address, self.tls, self.headers = free_port(), None, []
        self.log_path = path(f"{self.serial}.log")
        self.config_path = path(f"{self.serial}.conf")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify_path = path(f"{self.serial}.notify")
        self.notify.bind(notify_path)
        os.chmod(notify_path, 0o777)  # some daemons run as another user
        self.notifications = []
        if SLOW > 1 and config is not None and "request_timeout_ms" not in config:
            config += f"\nrequest_timeout_ms = {int(10000 * SLOW)};\n"
        command = [DAEMON]
        command += [] if config is None else ["--config", write(f"{self.serial}.conf", config)]
        command += ["--listen", f"{self.address[0]}:{self.address[1]}"] if listen else []
        command += ["--model", MODEL] if model else []
        rounds = "--precision" in options
        self.exactness = {"tolerance": 0.25} if rounds else {}
        command += options
        if fds:
            command = [sys.executable, "-c", HAND_OVER, str(len(fds)), *map(str, fds), *command]
        command = [*wrap, *command]
        with contextlib.ExitStack() as stack:
            sink = stderr or stack.enter_context(open(self.log_path, "wb"))
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, pass_fds=fds,
                env=environment({"NOTIFY_SOCKET": notify_path, **(env or {})}), preexec_fn=prepare)
        self.pid = self.process.pid
        self.checked = False
        self.baseline = None
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        try:
            if kind is None and not self.checked:
                self.stop()
        finally:
            self.kill()

    # --- its life ---

    def notified(self, seconds):
        """Collects notifications until READY=1, the end of the process or of the time."""
        end = time.monotonic() + seconds
        exit_fd = os.pidfd_open(self.pid)
        try:
            while not any("READY=1" in n.split("\n") for n in self.notifications):
                readable, _, _ = select.select([self.notify, exit_fd], [], [],
                                               max(0, end - time.monotonic()))
                if self.notify in readable:
                    self.notifications.append(self.notify.recv(65536).decode())
                elif readable:
                    return False
                elif time.monotonic() >= end:
                    return False
            return True
        finally:
            os.close(exit_fd)

    @contextlib.contextmanager
    def reading_notifications(self):
        """Somebody reads them, as systemd does; few fit into the socket, and a daemon waits for
        space."""
        end, ended = socket.socketpair()

        def read():
            while ended not in (readable := select.select([self.notify, ended], [], [])[0]):
                self.notifications += [s.recv(65536).decode() for s in readable]
        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            end.close()
            reader.join()
            ended.close()

    def wait_ready(self):
        if not self.notified(10 * SLOW):
            raise AssertionError(f"never READY; exit code {self.process.poll()}; {self.log()[-2000:]}")
        time.sleep(0.005)  # until the socket is closed that said READY=1
        idle = self.resources()["fds"]
        answer = self.get("/readyz") if self.address else None
        assert answer is None or answer.status == 200, f"READY=1 but /readyz says {answer}"
        self.good()
        with contextlib.suppress(AssertionError):  # the connections of these two may not be closed yet
            wait_until("quiet", lambda: self.resources()["fds"] <= idle, 0.5)
        self.baseline = self.resources()
        self.rss_before = self.baseline["rss"]

    def exit_code(self, seconds=30.0):
        """The exit code of a daemon that is ending by itself."""
        try:
            code = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running; {self.log()[-2000:]}") from None
        self.checked = True
        self.check_log()
        Aftermath.seen += 1
        return code

    def stop(self, seconds=30.0):
        """SIGTERM must end it with 0."""
        if self.process.poll() is None:
            if Aftermath.wanted and self.baseline:
                self.recovered()
            self.process.send_signal(signal.SIGTERM)
        code = self.exit_code(seconds)
        assert code == 0, f"exit code {code}; {self.log()[-2000:]}"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.notify.close()

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def lines_of(self, act):
        """The log lines that `act` adds: what stands between the lines of two marked requests."""
        def mark():
            name = f"mark-{random.getrandbits(48):012x}"
            assert self.ask("GET", "/models", [("X-Request-Id", name)]).status == 200
            wait_until("the line of a request", lambda: name in self.log(), 3)
            return next(i for i, line in enumerate(self.log().splitlines()) if name in line)
        first = mark()
        act()
        last = mark()
        return self.log().splitlines()[first + 1:last]

    def check_log(self):
        log = self.log()
        found = SANITIZER_REPORT.search(log)
        if found:
            report = log[found.start():][:6000]
            raise AssertionError("sanitizer report: " + report.split("\nSUMMARY")[0])

    # --- talking to it ---

    def connect(self, timeout=60.0, **more):
        return wire.Connection(self.address, timeout * SLOW, **{"tls": self.tls, **more})

    def ask(self, method, target, headers=(), body=None, **more):
        """One request on a connection of its own, with the daemon's usual headers."""
        with self.connect() as connection:
            return connection.ask(method, target, [*self.headers, *headers], body, **more)

    def get(self, target):
        return self.ask("GET", target)

    def classify(self, body, headers=(), query="", target="/classify"):
        return self.ask("POST", target + query, headers, body)

    def send_raw(self, data):
        """The answer to hand-made bytes; None if the connection was closed without one."""
        with self.connect() as connection:
            connection.try_send(data)
            try:
                return connection.read()
            except wire.Closed:
                return None

    def has_read(self, connection):
        """Nothing that an IPv4 client has sent waits to be read."""
        client, rows = tcp_rows(connection)
        return not any((local == client and not queues.startswith("00000000:"))
                       or (remote == client and not queues.endswith(":00000000"))
                       for local, remote, _, queues in rows)

    def good(self):
        """The picture of the recovery check gets the right answer. Some daemons have little time for it."""
        picture, want = reference()

        def attempt():
            answer = self.classify(picture)
            if answer.status == 504:
                raise Slow("a good request was not in time")
            assert answer.status == 200, f"a good request got {answer}"
            check_scores(predictions(answer), want, **self.exactness)
        unless_slow(attempt)

    def configure(self, text):
        """Replaces the configuration, as an editor does."""
        with open(self.config_path + ".new", "w") as file:
            file.write(text)
        os.rename(self.config_path + ".new", self.config_path)

    def reload(self):
        """SIGHUP, and what systemd is told until READY=1."""
        self.notifications.clear()
        self.process.send_signal(signal.SIGHUP)
        assert self.notified(20 * SLOW), f"no READY=1 after SIGHUP; {self.log()[-2000:]}"
        return "\n".join(self.notifications)

    def metrics(self):
        answer = self.get("/metrics")
        assert answer.status == 200, answer
        return parse_metrics(answer.body.decode())

    # --- what it uses ---

    def status_kb(self, key):
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(rf"^{key}:\s+(\d+)", file.read(), re.M)[1])

    def resources(self):
        return {"fds": len(os.listdir(f"/proc/{self.pid}/fd")), "rss": self.status_kb("VmRSS") << 10,
                "threads": self.status_kb("Threads")}

    def cpu_seconds(self):
        return time.clock_gettime(~self.pid << 3 | 2)  # clock_getcpuclockid(3)

    def http_seconds(self):
        """CPU time of the threads that speak HTTP."""
        seconds = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/comm") as comm, \
                    open(f"/proc/{self.pid}/task/{task}/schedstat") as times:
                if comm.read().startswith(("MHD", "monitor")):
                    seconds += int(times.read().split()[0]) / 1e9
        return seconds

    def reset_peak(self):
        """Makes peak() count from now."""
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")

    def peak(self):
        return self.status_kb("VmHWM") << 10

    def recovered(self, seconds=5.0):
        """The recovery check that follows every fault; connections may take that long to close."""
        assert self.process.poll() is None, f"died with {self.process.returncode}; {self.log()[-3000:]}"
        answer = self.get("/livez")
        assert answer.status == 200, f"/livez after the fault: {answer}"
        self.good()
        for key in ("fds", "threads"):
            wait_until(f"{key} back at {self.baseline[key]}, now {self.resources()}",
                       lambda key=key: self.resources()[key] <= self.baseline[key], seconds)
        if not SANITIZER:
            most = min(self.rss_before + RSS_SLACK, self.baseline["rss"] + RSS_SLACK_OF_ALL)
            wait_until(f"memory back at {self.rss_before}, below {most}, now {self.resources()}",
                       lambda: self.resources()["rss"] <= most, seconds)
        if self.get("/metrics").status == 200:  # which admin_listen would have
            wait_until("all memory for bodies given back",
                       lambda: self.metrics().sum("resnextd_body_bytes") == 0, seconds)
        self.check_log()
        Aftermath.seen += 1


# Puts inherited sockets at 3, 4, ... and runs the daemon as its own process, as systemd does.
HAND_OVER = """
import fcntl, os, sys
count = int(sys.argv[1])
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 3 + count) for fd in sys.argv[2:2 + count]]
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
os.closerange(3 + count, 1024)
os.environ.update(LISTEN_FDS=str(count), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


def shim(name="failing"):
    """A library for LD_PRELOAD, made of tests/integration/NAME.c."""
    if SANITIZER:
        raise Skip("sanitizers have an allocator of their own")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise Skip("no C compiler")
    made = path(f"{name}.so")
    if not os.path.exists(made):
        source = os.path.join(TOP, f"tests/integration/{name}.c")
        subprocess.run([compiler, "-std=c11", "-O1", "-fPIC", "-shared", "-o", made, source, "-ldl"],
                       check=True)
    return made


def certificate(name, key=None, days=2):
    """Paths of a new self-signed certificate for localhost and of its key."""
    if not shutil.which("openssl"):
        raise Skip("no openssl")
    made = path(f"{name}.crt"), key or path(f"{name}.key")
    words = ["-key", key] if key else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                                       "-nodes", "-keyout", made[1]]
    subprocess.run(["openssl", "req", "-x509", *words, "-out", made[0], "-days", str(days),
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    os.chmod(made[1], 0o600)
    return made


def run(*words, program=DAEMON, wrap=(), env=None, seconds=10.0):
    """The daemon as a command that ends by itself: (exit code, standard output, standard error)."""
    done = subprocess.run([*wrap, program, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env=environment(env), timeout=seconds * SLOW,
                          preexec_fn=die_with_parent)
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    Aftermath.seen += 1
    return done.returncode, done.stdout, done.stderr


def tool(*words, seconds=30.0, **more):
    """The same of resnext."""
    return run(*words, program=TOOL, seconds=seconds, **more)


def refuse(options=(), words=(), seconds=10.0, **more):
    """The start fails: exit code not 0, one clear line that holds the words, never READY."""
    with Daemon(["--log-level", "error", *options], wait=False, **more) as daemon:
        assert not daemon.notified(seconds * SLOW), "READY=1 from a start that must fail"
        code = daemon.exit_code()
        log = daemon.log()
    assert 0 < code < 128, f"exit code {code}: {log}"
    assert len(log.splitlines()) == 1, f"not one line: {log!r}"
    for word in words:
        assert word in log, f"no {word!r} in: {log}"
    return log


# --- answers ---

def predictions(answer):
    return json.loads(answer.body)["predictions"]


def softmax(logits):
    top = max(logits)
    exps = [math.exp(x - top) for x in logits]
    return [e / sum(exps) for e in exps]


def check_scores(got, scores, tolerance=2e-4):
    """Predictions are the likeliest classes of `scores`, best first."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    for rank, p in enumerate(got):
        want = scores[order[rank]]
        assert abs(p["score"] - scores[p["class_id"]]) <= tolerance, f"{p}, reference {scores}"
        assert abs(p["score"] - want) <= tolerance, f"rank {rank}: {p}, reference {want}"


def goldens():
    """Rows {picture, model, logits, top1} that PyTorch and Pillow gave."""
    with open(os.path.join(DATA, "goldens.json")) as file:
        return json.load(file)["rows"]


def picture(name):
    with open(os.path.join(DATA, name), "rb") as file:
        return file.read()


def reference(cache={}):
    """(JPEG bytes, scores) of the smallest golden picture, by the default model."""
    if not cache:
        rows = [r for r in goldens() if os.path.basename(r["model"]) == MODEL_NAME]
        row = min(rows, key=lambda r: len(picture(r["picture"])))
        cache["it"] = picture(row["picture"]), softmax(row["logits"])
    return cache["it"]


def check_error(answer, status, code=None):
    """The answer is our JSON error with this status (one or several allowed)."""
    allowed = status if isinstance(status, (tuple, list)) else (status,)
    assert answer is not None, f"closed without an answer, wanted {allowed}"
    assert answer.status in allowed, f"wanted {allowed}, got {answer}"
    assert answer.header("content-type").startswith("application/json"), answer
    assert answer.header("x-content-type-options") == "nosniff", answer
    body = json.loads(answer.body)
    assert list(body) == ["error", "request_id"], answer
    assert list(body["error"]) == ["code", "message", "status"], answer
    assert body["error"]["status"] == answer.status, answer
    assert answer.header("x-request-id") == body["request_id"], answer
    assert len(body["error"]["message"]) > 10, answer
    assert code is None or body["error"]["code"] == code, answer
    return body["error"]


def is_refused_by_library(answer, text):
    """libmicrohttpd 1.0.1 refuses by itself some of what 0.9.75 leaves to us or takes."""
    return answer.status == 400 and answer.header("connection") == "close" and text in answer.body


SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)\Z')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|\Z)')


class Metrics(dict):
    """Samples: (name, frozenset of label pairs) -> value; `types` and `helps` by family."""

    def __init__(self):
        super().__init__()
        self.types, self.helps = {}, {}

    def sum(self, sample, **labels):
        """The sum of all samples of a name that carry these labels."""
        want = set(labels.items())
        return sum(v for (n, have), v in self.items() if n == sample and want <= have)

    def labels(self, sample):
        return [dict(have) for (n, have) in self if n == sample]


def parse_metrics(text):
    """The text format 0.0.4, read strictly."""
    metrics = Metrics()
    assert text.endswith("\n"), "no line feed at the end"
    for line in text.split("\n")[:-1]:
        if line.startswith(("# HELP ", "# TYPE ")):
            _, kind, name, rest = line.split(" ", 3)
            table = metrics.helps if kind == "HELP" else metrics.types
            assert name not in table, f"{kind} of {name} twice"
            table[name] = rest
            continue
        match = SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        labels = LABEL.findall(match[2] or "")
        assert len("".join(f'{k}="{v}",' for k, v in labels)) in (
            len(match[2] or "") + 1, len(match[2] or "")), f"labels of {line!r}"
        key = match[1], frozenset(labels)
        assert key not in metrics, f"twice: {line!r}"
        metrics[key] = float(match[3])
    return metrics


# --- the cases of a script ---

CASES = []


def case(options=None, seconds=20.0, own=False, config=""):
    """Declares a case: a function of a Daemon, which may take so long and a minute more, for a host that
    stands still now and then. Options or `own` make it a daemon of its own;
    `own=None` means that the case starts what it needs and takes no argument."""
    alone = None if own is None else own or bool(options or config)

    def declare(function):
        CASES.append((function, options, seconds, alone, config))
        return function
    return declare


class Shared:
    """The daemon that the plain cases of a script use one after the other."""

    def __init__(self, options):
        self.options, self.daemon = options, None

    def get(self):
        if self.daemon is None:
            self.daemon = Daemon(self.options)
        return self.daemon

    def drop(self):
        if self.daemon:
            self.daemon.kill()
            self.daemon = None


def is_row(function):
    """Whether a case is the test of a row of tests/FAULTS.md."""
    return re.match(r"row_\d+_", function.__name__) is not None


def run_case(function, options, own, config, shared):
    Aftermath.wanted, Aftermath.seen = is_row(function) and own is None, 0
    if own is None:
        function()
    elif own:
        with Daemon(list(options or ()), config=config) as daemon:
            function(daemon)
            daemon.recovered()
    else:
        daemon = shared.get()
        daemon.rss_before = daemon.resources()["rss"]
        function(daemon)
        daemon.recovered()
    assert Aftermath.seen or not is_row(function), "nothing looked at what came after the fault"


def alarm(*unused):
    raise CaseTimeout("the case ran out of time")


def end(*unused):
    sys.exit(1)


def tap(number, title, attempt, seconds, after_failure):
    """Runs one case and prints its line; False if it failed."""
    signal.setitimer(signal.ITIMER_REAL, (60 + seconds) * SLOW)
    try:
        attempt()
        outcome, notes = "ok", None
    except Skip as reason:
        print(f"ok {number} - {title} # SKIP {reason}", flush=True)
        return True
    except Exception:
        outcome, notes = "not ok", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if notes:
        after_failure()
        print("\n".join("# " + line for line in notes.split("\n")))
    print(f"{outcome} {number} - {title}", flush=True)
    return not notes


@contextlib.contextmanager
def workspace():
    """The script's own temporary directory."""
    global WORK
    WORK = tempfile.mkdtemp(prefix="resnextd-test-")
    try:
        yield
    finally:
        shutil.rmtree(WORK, ignore_errors=True)


def need(*programs):
    """Ends the script unless all of them are built."""
    for program in programs:
        if not os.path.exists(program):
            print(f"Bail out! {program} is not built: make -C {BUILD} all check TESTS=; top_builddir names another folder")
            sys.exit(1)


def main(shared_options=()):
    """Runs the cases named on the command line, or all."""
    need(DAEMON)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    signal.signal(signal.SIGALRM, alarm)
    names = sys.argv[1:]
    unknown = set(names) - {c[0].__name__ for c in CASES}
    if unknown:
        print(f"Bail out! there is no case {', '.join(sorted(unknown))}")
        sys.exit(2)
    chosen = [c for c in CASES if not names or c[0].__name__ in names]
    shared = Shared(list(shared_options))
    failed = 0
    with workspace(), contextlib.ExitStack() as stack:
        stack.callback(shared.drop)
        print(f"1..{len(chosen) + 1}")
        for number, (function, options, seconds, own, config) in enumerate(chosen, 1):
            started = time.monotonic()
            title = function.__name__.replace("_", " ")
            failed += not tap(number, title,
                              lambda: run_case(function, options, own, config, shared), seconds,
                              shared.drop)
            if "RESNEXT_TEST_TIMES" in os.environ:
                print(f"# {time.monotonic() - started:.2f} s", flush=True)
        failed += not tap(len(chosen) + 1, "the shared daemon ends with 0 on SIGTERM",
                          lambda: shared.daemon and shared.daemon.stop(), 20, shared.drop)
    sys.exit(1 if failed else 0)
