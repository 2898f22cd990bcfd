#!/usr/bin/python3 -B
"""Too little of something: half a core, memory, address space, descriptors, processes."""
import concurrent.futures
import contextlib
import os
import resource

import wrong
from wrong import harness
from harness import (SLOW, Daemon, case, check_scores, path, predictions, reference, refuse, tool,
                     wait_until)


def cpu_cgroup():
    """(hierarchy's folder, version) of the CPU controller that this process is in."""
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, name = line.strip().split(":", 2)
            if "cpu" in controllers.split(","):
                return os.path.join("/sys/fs/cgroup/cpu", name.lstrip("/")), 1
            folder = os.path.join("/sys/fs/cgroup", name.lstrip("/"))
            with contextlib.suppress(OSError), open(f"{folder}/cgroup.subtree_control") as enabled:
                if not controllers and "cpu" in enabled.read().split():
                    return folder, 2
    raise harness.Skip("no CPU controller")


@contextlib.contextmanager
def half_a_core():
    wrong.need_root()
    parent, version = cpu_cgroup()
    folder = os.path.join(parent, f"resnextd-test-{os.getpid()}")
    try:
        os.mkdir(folder)
    except OSError as problem:
        raise harness.Skip(f"no cgroup can be made: {problem}") from None
    try:
        limits = {"cpu.max": "50000 100000"} if version == 2 else {
            "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
        for name, value in limits.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(value)
        yield folder
    finally:
        def is_gone():
            with contextlib.suppress(OSError):
                os.rmdir(folder)
            return not os.path.exists(folder)
        wait_until("the cgroup to be empty", is_gone)


@case(own=None, seconds=60)
def half_a_core_serves_with_one_worker_and_an_honest_queue():
    picture, want = reference()
    watchdog_s = 2 * SLOW
    with half_a_core() as folder, Daemon(
            ["--request-timeout-ms", str(int(2000 * SLOW))],
            env={"WATCHDOG_USEC": str(int(watchdog_s * 1e6))},
            wrap=wrong.after(f"echo $$ > {folder}/cgroup.procs")) as daemon:
        metrics = daemon.metrics()
        assert metrics.sum("resnextd_workers") == 1, "not one worker for half a core"
        assert metrics.sum("resnextd_queue_limit") == 8
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda _: daemon.classify(picture), range(96)))
            assert daemon.get("/livez").status == 200
        good = [a for a in answers if a.status == 200]
        assert good, answers
        for answer in good:
            check_scores(predictions(answer), want)
        for answer in answers:
            assert answer.status in (200, 503, 504), answer
            if answer.status == 503:
                assert 1 <= int(answer.header("retry-after")) <= 2 * SLOW, answer

        def alive():
            daemon.notifications.clear()
            daemon.notified(watchdog_s * 1.5)
            return daemon.notifications.count("WATCHDOG=1") >= 2
        assert alive() or alive() or alive(), f"{daemon.notifications} in {watchdog_s * 1.5:.1f} s"
        daemon.good()


def limited_memory(file, size):
    """As if the cgroup at the root of the hierarchy had this limit: nothing real is changed. Over all of
    /sys, which is empty in a chroot."""
    fake = path("sys/fs/cgroup")
    os.makedirs(os.path.join(fake, "memory"), exist_ok=True)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(fake, name))
    harness.write(f"sys/fs/cgroup/{file}", f"{size}\n")
    return wrong.namespace(f"mount --bind {path('sys')} /sys")


def large_model():
    made = path("large")
    if not os.path.exists(made):
        code, _, errors = tool("init", "resnext50_32x4d", made, seconds=60)
        assert code == 0, errors
    return made


@case(own=None, seconds=90)
def memory_that_the_cgroup_does_not_allow_is_an_error_with_sizes():
    if harness.SANITIZER:
        raise harness.Skip("sanitizers hold memory of their own")
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        refuse(["--model", large_model()], words=["MiB are needed", "the cgroup allows 64 MiB"],
               model=False, wrap=limited_memory(file, 64 << 20))
        with Daemon(wrap=limited_memory(file, 64 << 20)) as daemon:  # enough for the small one
            daemon.good()
    code, out, errors = tool("verify", large_model(), "--precision", "f32",
                                   wrap=limited_memory("memory.max", 64 << 20))
    assert code == 1 and "the cgroup allows 64 MiB" in errors, (code, out, errors)


@case(own=None, seconds=90)
def a_reload_beyond_the_cgroup_s_memory_leaves_the_old_model():
    if harness.SANITIZER:
        raise harness.Skip("sanitizers hold memory of their own")
    link = path("model")
    os.symlink(harness.MODEL, link)
    with Daemon(["--model", link], model=False,
                wrap=limited_memory("memory.max", 64 << 20)) as daemon:
        os.unlink(link)
        os.symlink(large_model(), link)
        daemon.reload()
        assert "the reload failed" in daemon.log() and "the cgroup allows 64 MiB" in daemon.log()
        daemon.recovered()


@case(own=None, seconds=90)
def row_83_a_model_beyond_the_machines_memory_is_refused_with_sizes():
    if harness.SANITIZER:
        raise harness.Skip("sanitizers hold memory of their own")
    harness.write("meminfo", f"MemTotal: 99999999 kB\nMemAvailable:  {64 << 10} kB\n")
    machine = wrong.namespace(f"mount --bind {path('meminfo')} /proc/meminfo")
    words = ["MiB are needed", "the machine has 64 MiB left"]
    refuse(["--model", large_model()], words=words, model=False, wrap=machine)
    link = path("model-of-the-machine")
    os.symlink(harness.MODEL, link)
    with Daemon(["--model", link], model=False, wrap=machine) as daemon:
        os.unlink(link)
        os.symlink(large_model(), link)
        daemon.reload()
        assert "the reload failed" in daemon.log() and words[1] in daemon.log(), daemon.log()
        daemon.recovered()


@case(own=None, seconds=90)
def row_83_what_loading_takes_beside_the_model_is_asked_for_first():
    """While a layer is packed, its weights are there once more: here 36 MiB, nearly the whole model."""
    if harness.SANITIZER:
        raise harness.Skip("sanitizers hold memory of their own")
    one_layer = path("one-layer")
    code, _, errors = tool("init", "blocks=1:C=1:d=1024:stem=cifar:stem_width=8:out=16:classes=3:size=24",
                           one_layer)
    assert code == 0, errors
    refuse(["--model", one_layer], model=False,
           words=["model one-layer: 37 MiB are needed", "the cgroup allows 72 MiB"],
           wrap=limited_memory("memory.max", 72 << 20))
    with Daemon(["--workers", "1", "--model", one_layer], model=False, wait=False,
                wrap=limited_memory("memory.max", 128 << 20)) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()


@case(own=None, seconds=60)
def the_log_warns_of_a_limit_that_clients_can_reach():
    if harness.SANITIZER:
        raise harness.Skip("sanitizers hold memory of their own")
    machine, words = limited_memory("memory.max", 256 << 20), "clients can make this service take"
    with Daemon(["--workers", "2"], wrap=machine) as daemon:
        assert words in daemon.log() and "there are 256" in daemon.log(), daemon.log()
    with Daemon(["--workers", "2", "--max-pixels", "1000000", "--max-body-bytes", "1000000",
                 "--max-connections", "512"], wrap=machine) as daemon:
        assert words not in daemon.log(), daemon.log()


@case(own=None, seconds=60)
def row_93_address_space_too_short_for_openblas_is_an_error_not_a_wait():
    """OpenBLAS maps a buffer for each thread: 0.3.21 once it is used, 0.3.29 before main as well."""
    if harness.SANITIZER:
        raise harness.Skip("sanitizers need address space without end")
    for threads in ("unset OPENBLAS_NUM_THREADS", "export OPENBLAS_NUM_THREADS=1"):
        for megabytes in (60, 120, 260):
            for limit in ("ulimit -v", "ulimit -d"):
                wrap = wrong.after(f"{threads}; {limit} {megabytes * 1024}")
                refuse(["--precision", "f32", "--workers", "2"], words=["MiB", limit], wrap=wrap)
                code, _, errors = tool("classify", harness.MODEL, "--precision", "f32",
                                       os.path.join(harness.DATA, "pictures"), "--threads", "2", wrap=wrap)
                assert code == 1 and limit in errors, (code, errors)
                assert len(errors.splitlines()) == 1, errors
    limits = f"ulimit -v {900 * 1024}; ulimit -d {600 * 1024}"
    with Daemon(["--workers", "2"],
                wrap=wrong.after(f"export OPENBLAS_NUM_THREADS=1; {limits}")) as daemon:
        daemon.good()


@case(["--workers", "1"], seconds=60)
def a_reload_without_address_space_leaves_the_old_model(daemon):
    if harness.SANITIZER:
        raise harness.Skip("sanitizers need address space without end")
    limit = (daemon.status_kb("VmSize") << 10) + (1 << 20)
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (limit, limit))
    daemon.reload()
    assert "the reload failed" in daemon.log(), daemon.log()
    daemon.good()


@case(own=None, seconds=60)
def few_descriptors_serve_or_say_so():
    for most in (16, 32, 64):
        with Daemon(["--workers", "1"], wait=False,
                    wrap=wrong.after(f"ulimit -n {most}")) as daemon:
            if daemon.notified(10 * SLOW):
                daemon.good()
            else:
                assert daemon.exit_code() == 1 and " error " in daemon.log(), daemon.log()
                assert most < 32, daemon.log()


@case(own=None)
def a_user_who_may_not_start_threads_is_told():
    if harness.SANITIZER:
        raise harness.Skip("sanitizers start threads of their own")
    log = refuse(words=["cannot start thread"], env={"OPENBLAS_NUM_THREADS": "1"},
                 wrap=wrong.unprivileged("prlimit", "--nproc=1"))
    assert "Resource temporarily unavailable" in log, log


@case(own=None)
def no_core_file_no_stack_limit_no_matter():
    with Daemon(wrap=wrong.after("ulimit -c 0; ulimit -s 256; ulimit -l 0")) as daemon:
        daemon.good()


if __name__ == "__main__":
    harness.main()
