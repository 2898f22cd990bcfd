#!/usr/bin/python3 -B
"""Three instances behind HAProxy with etc/haproxy.cfg as it is, each on a host of its own: a network
namespace. Needs root and HAProxy."""
import contextlib
import ctypes
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

TESTS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..")
sys.path[:0] = [os.path.join(TESTS, "integration"), os.path.join(TESTS, "load")]

import harness
import jpegs
import wire
from client import offer
from harness import Skip, case, check_scores, predictions, reference, wait_until
from traffic import Traffic

PICTURE = os.path.join(harness.DATA, "pictures/flowers_422.jpg")
CONFIG = os.path.join(harness.TOP, "etc/haproxy.cfg")
HERE, FRONT = "10.0.0.1", ("10.0.0.1", 80)
CLONE_NEWNET = 0x40000000
LISTEN = ["--listen", "0.0.0.0:8080", "--drain-grace-ms", "4000", "--workers", "1", "--queue-limit", "16"]


def command(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}"
    return done.stdout


class Node:
    """A host with one instance."""

    def __init__(self, namespace, address, bridge):
        self.namespace, self.address, self.process = namespace, (address, 8080), None
        self.link = "node" + address.rsplit(".", 1)[1]
        command("ip", "netns", "add", namespace)
        command("ip", "-n", bridge, "link", "add", self.link, "type", "veth", "peer", "name", "eth0",
                "netns", namespace)
        command("ip", "-n", bridge, "link", "set", self.link, "master", "br0", "up")
        command("ip", "-n", namespace, "addr", "add", address + "/24", "dev", "eth0")
        command("ip", "-n", namespace, "link", "set", "eth0", "up")
        command("ip", "-n", namespace, "link", "set", "lo", "up")

    def start(self):
        self.log = open(harness.path(f"{self.link}.log"), "ab")
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.namespace}", harness.DAEMON, "--config",
             harness.write("node.conf", ""), "--model", harness.MODEL, "--precision", "f32",
             *LISTEN], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, env=harness.environment(), preexec_fn=harness.die_with_parent)
        wait_until("ready", self.ready, 10)

    def ready(self):
        if self.process.poll() is not None:
            with open(self.log.name) as log:
                raise AssertionError(f"it ended: {log.read()[-500:]}")
        with contextlib.suppress(OSError, wire.Closed), wire.Connection(self.address, 5) as connection:
            return connection.ask("GET", "/readyz").status == 200
        return False

    def end(self, number):
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(40)
        self.log.close()
        return code

    def metric(self, name, **labels):
        with wire.Connection(self.address, 5) as connection:
            page = connection.ask("GET", "/metrics").body.decode()
        return harness.parse_metrics(page).sum(name, **labels)

    def images(self):
        return self.metric("resnextd_images_total")


class Cluster:
    """The proxy and three nodes, all up; this process is on the proxy's host."""

    def __init__(self):
        if os.geteuid() != 0:
            raise Skip("only root makes network namespaces")
        for tool in ("haproxy", "ip", "nsenter"):
            if not shutil.which(tool):
                raise Skip(f"there is no {tool}")
        self.name = f"resnextd-{random.getrandbits(32):08x}"
        self.nodes, self.proxy = [], None
        try:
            command("ip", "netns", "add", self.name)
        except AssertionError as failure:
            raise Skip(f"no network namespaces here: {failure}") from None
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        command("ip", "-n", self.name, "link", "set", "lo", "up")
        command("ip", "-n", self.name, "link", "add", "br0", "type", "bridge")
        command("ip", "-n", self.name, "link", "set", "br0", "up")
        command("ip", "-n", self.name, "addr", "add", HERE + "/24", "dev", "br0")
        with open(f"/run/netns/{self.name}") as namespace:
            assert ctypes.CDLL(None).setns(namespace.fileno(), CLONE_NEWNET) == 0
        for i in range(3):
            self.nodes.append(Node(f"{self.name}-{i}", f"10.0.0.1{i + 1}", self.name))
            self.nodes[-1].start()
        self.log = open(harness.path("haproxy.log"), "wb")
        self.proxy = subprocess.Popen(["haproxy", "-db", "-f", CONFIG], stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log,
                                      preexec_fn=harness.die_with_parent)
        wait_until("three servers up", lambda: self.up() == 3, 10)

    def up(self):
        """How many servers HAProxy sends to."""
        with contextlib.suppress(OSError, wire.Closed):
            with wire.Connection(("127.0.0.1", 8404), 5) as connection:
                page = connection.ask("GET", "/metrics").body.decode()
            return len(re.findall(r'haproxy_server_status\{proxy="resnextd",[^}]*state="UP"\} 1', page))
        return 0

    def close(self):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.end(signal.SIGKILL)
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
            self.log.close()
        for node in self.nodes:
            command("ip", "netns", "del", node.namespace)
        command("ip", "netns", "del", self.name)


cluster, missing = None, None


def get():
    global cluster, missing
    if missing:
        raise missing
    if cluster is None:
        try:
            cluster = Cluster()
        except Skip as reason:
            missing = reason
            raise
    wait_until("three servers up", lambda: cluster.up() == 3, 10)
    return cluster


@contextlib.contextmanager
def load():
    """Clients before the proxy, none of whom may notice anything."""
    with Traffic(FRONT, 6, keep_alive=True) as traffic:
        traffic.wait_for(30)
        yield traffic
        traffic.wait_for(30)
    print(f"# {dict(traffic.outcomes)}, slowest {traffic.slowest:.2f} s")
    assert set(traffic.outcomes) == {200}, traffic.outcomes


@case(own=None)
def haproxy_accepts_the_configuration():
    if not shutil.which("haproxy"):
        raise Skip("there is no haproxy")
    said = command("haproxy", "-c", "-f", CONFIG)
    assert "WARNING" not in said.upper(), said


@case(own=None, seconds=60)
def all_instances_work():
    before = [node.images() for node in get().nodes]
    with load() as traffic:
        traffic.wait_for(60)
    for node, images in zip(cluster.nodes, before):
        assert node.images() - images > 10, f"{node.link} did hardly anything"


@case(own=None, seconds=60)
def uploads_beyond_the_buffer_pass():
    get()
    data, scores = reference()
    with wire.Connection(FRONT, 10) as connection:
        answer = connection.ask("POST", "/classify", body=data + bytes(5 << 20))
        assert answer.status == 200, answer
        check_scores(predictions(answer), scores)
        harness.check_error(connection.ask("POST", "/classify", body=data + bytes(20 << 20)), 413)


@case(own=None, seconds=60)
def nothing_is_computed_for_clients_that_left():
    nodes = get().nodes
    slow = wire.multipart([("f", f"{i}.jpg", None, jpegs.slow(95)) for i in range(4)])

    def total(name, **labels):
        return sum(node.metric(name, **labels) for node in nodes)
    gone = total("resnextd_requests_total", code="499")
    with contextlib.ExitStack() as stack:
        for node in nodes:
            connection = stack.enter_context(wire.Connection(node.address, 30))
            connection.send(wire.request("POST", "/classify", [wire.form_type()], slow))
        wait_until("every worker busy", lambda: total("resnextd_workers_busy") == len(nodes))
        leaving = [stack.enter_context(wire.Connection(FRONT, 10)) for _ in range(4)]
        for connection in leaving:
            connection.send(wire.request("POST", "/classify", body=reference()[0]))
        wait_until("four wait", lambda: total("resnextd_queue_depth") == 4)
        for connection in leaving:
            connection.close()
        wait_until("none of them is computed",
                   lambda: total("resnextd_requests_total", code="499") == gone + 4)
    for node in nodes:  # which have learned that pictures take long
        node.end(signal.SIGKILL)
        node.start()


@case(own=None, seconds=60)
def metrics_and_admin_are_not_for_clients():
    get()
    for target in ("/metrics", "/admin/reload"):
        with wire.Connection(FRONT, 10) as connection:
            assert connection.ask("GET", target).status == 404, target


@case(own=None, seconds=120)
def a_rolling_restart_under_load_fails_no_request():
    nodes = get().nodes
    with load():
        for node in nodes:
            node.process.send_signal(signal.SIGTERM)
            wait_until("it gets no more requests", lambda: cluster.up() == 2, 4)
            assert node.process.poll() is None, "it ended before it was left alone"
            assert node.end(signal.SIGTERM) == 0, "it did not drain"
            node.start()
            wait_until("three servers up", lambda: cluster.up() == 3, 10)


@case(own=None, seconds=120)
def an_overload_makes_no_instance_look_ill():
    it, logged = get(), os.path.getsize(harness.path("haproxy.log"))
    result = offer(FRONT, PICTURE, rate=4000, connections=200, seconds=5)
    print(f"# {result}")
    assert all(node.process.poll() is None for node in it.nodes)
    with open(harness.path("haproxy.log")) as log:
        log.seek(logged)
        text = log.read()
        print("".join(f"# {line}\n" for line in text.splitlines() if "DOWN" in line)[:1500])
        assert "wrong status" not in text, "a full instance was taken for one that cannot work"


@case(own=None, seconds=120)
def killed_instances_under_load_fail_no_request():
    with contextlib.ExitStack() as stack:
        nodes = get().nodes
        traffic = stack.enter_context(load())
        for node in nodes:
            node.end(signal.SIGKILL)
            wait_until("it is missed", lambda: cluster.up() == 2, 10)
            traffic.wait_for(20)
            node.start()
            wait_until("three servers up", lambda: cluster.up() == 3, 10)
        assert traffic.slowest < 5 * harness.SLOW, traffic.slowest


@case(own=None, seconds=120)
def a_host_that_vanishes_under_load_fails_no_request():
    nodes = get().nodes
    with load() as traffic:
        command("ip", "link", "set", nodes[0].link, "down")
        wait_until("it is missed", lambda: cluster.up() == 2, 10)
        traffic.wait_for(20)
        time.sleep(13)  # what it had in hand is sent elsewhere after timeout server
        command("ip", "link", "set", nodes[0].link, "up")
        wait_until("three servers up", lambda: cluster.up() == 3, 15)


@case(own=None, seconds=60)
def a_hung_instance_under_load_fails_no_request():
    nodes = get().nodes
    os.kill(nodes[0].process.pid, signal.SIGSTOP)
    try:
        with load() as traffic:
            wait_until("it is missed", lambda: cluster.up() == 2, 10)
            traffic.wait_for(20)
            time.sleep(13)
    finally:
        os.kill(nodes[0].process.pid, signal.SIGCONT)


if __name__ == "__main__":
    try:
        harness.main()
    finally:
        if cluster is not None:
            cluster.close()
