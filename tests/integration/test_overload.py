#!/usr/bin/python3 -B
"""More work than there is time for: the full queue, clients that leave, deadlines, recovery."""
import base64
import concurrent.futures
import json
import statistics
import threading
import time

import harness
import jpegs
import wire
from harness import (SLOW, Daemon, Slow, case, check_error, check_scores, predictions, quick,
                     reference, unless_slow, wait_until)
from traffic import ONE_WORKER, busy, check_refused, classify_request, waiting

DEADLINE = 0.4 * max(1, SLOW / 4)


def gone(metrics):
    return metrics.sum("resnextd_requests_total", code="499")


@case([*ONE_WORKER, "--queue-limit", "4"], seconds=60)
def a_full_queue_refuses_at_once_and_keeps_its_promises(daemon):
    data, scores = reference()
    rejected = daemon.metrics().sum("resnextd_rejected_total")
    with busy(daemon, parts=3), waiting(daemon, 4) as queued:
        times = []
        for _ in range(20):
            start = time.monotonic()
            check_refused(daemon.classify(data))
            times.append(time.monotonic() - start)
        assert statistics.median(times) < 0.05 * SLOW, f"refusals took {times}"
        for target in ("/livez", "/health", "/metrics", "/models"):
            answer = quick(0.5, lambda target=target: daemon.get(target))
            assert answer.status == (200 if target != "/health" else answer.status), answer
        metrics = daemon.metrics()
        assert metrics.sum("resnextd_queue_depth") == 4 and metrics.sum("resnextd_workers_busy") == 1
        assert metrics.sum("resnextd_rejected_total") == rejected + 20, metrics
        refused = sum(value for (name, labels), value in metrics.items()
                      if name == "resnextd_requests_total" and ("code", "503") in labels
                      and dict(labels)["endpoint"].strip("/") == "classify")
        assert refused == 20, metrics
        for connection in queued:
            check_scores(predictions(connection.read()), scores)
    wait_until("the queue empty", lambda: daemon.metrics().sum("resnextd_queue_depth") == 0)


@case([*ONE_WORKER, "--queue-limit", "1"], seconds=60)
def a_full_queue_refuses_before_the_upload(daemon):
    with busy(daemon, parts=3), waiting(daemon, 1) as queued:
        with daemon.connect() as connection:
            connection.send(b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                            b"Expect: 100-continue\r\n\r\n")
            answer = connection.read()
            check_refused(answer)
            assert not answer.interim, "100 Continue was sent"
        check_refused(daemon.send_raw(b"POST /classify HTTP/1.1\r\nHost: x\r\n"
                                      b"Content-Length: 300000\r\n\r\n"))
        assert queued[0].read().status == 200


@case([*ONE_WORKER, "--queue-limit", "1"], seconds=60)
def a_refusal_of_a_small_picture_keeps_the_connection(daemon):
    data, scores = reference()
    with busy(daemon, parts=5), waiting(daemon, 1), daemon.connect(60) as connection:
        answer = connection.ask("POST", "/classify", body=data + bytes(100000))
        check_refused(answer)
        while answer.status != 200:
            check_refused(answer)
            assert answer.header("connection") != "close", answer
            time.sleep(0.05)
            answer = connection.ask("POST", "/classify", body=data)
        check_scores(predictions(answer), scores)


@case([*ONE_WORKER, "--queue-limit", "1", "--max-body-bytes", "1048576", *harness.UPLOADS_MAY_STALL])
def uploads_share_a_bounded_memory(daemon):
    data, scores = reference()
    body = data + bytes(1048576 - len(data))
    head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    chunks = wire.request("POST", "/classify", [("Transfer-Encoding", "chunked")])
    rejected = daemon.metrics().sum("resnextd_rejected_total", reason="overloaded")

    def received():
        with open(f"/proc/{daemon.pid}/net/tcp") as file:
            return all(f"{0:08X}" == line.split()[4].split(":")[1] for line in file.readlines()[1:]
                       if line.split()[1].endswith(f":{daemon.address[1]:04X}"))
    for finish in (True, False):
        with daemon.connect() as first, daemon.connect() as second, daemon.connect() as third:
            for connection in (first, second):
                connection.send(head + body[:-1])
            wait_until("both received", received)
            check_refused(third.ask("POST", "/classify", body=body))
            third.close()
            with daemon.connect() as fourth:  # whose length nobody knows before
                fourth.send(chunks + b"100000\r\n" + body + b"\r\n0\r\n\r\n")
                refused = fourth.read()
                check_refused(refused)
                assert refused.header("connection").lower() == "close", refused
            assert daemon.get("/livez").status == 200
            for connection in (first, second) if finish else ():
                connection.send(body[-1:])
                check_scores(predictions(connection.read()), scores)
        wait_until("space again", lambda: daemon.classify(body).status == 200)
    assert daemon.metrics().sum("resnextd_rejected_total", reason="overloaded") >= rejected + 4


@case([*ONE_WORKER, *harness.UPLOADS_MAY_STALL], seconds=60)
def stalled_uploads_hold_at_most_half_as_much_again_as_came(daemon):
    """Also where they stop behind what doubling would have reached."""
    for size in ((8 << 20) + 1, (4 << 20) + 1, 5 << 20, 3 << 20, 100000, 66000):
        with daemon.connect() as connection:
            head = wire.raw(["POST /classify HTTP/1.1", "Host: x", f"Content-Length: {16 << 20}"])
            connection.send(head + bytes(size))
            wait_until("all read", lambda: daemon.has_read(connection))
            held = daemon.metrics().sum("resnextd_body_bytes")
            assert held <= size + size // 2 + 65536, f"{held} bytes are held for {size}"
        wait_until("given back", lambda: daemon.metrics().sum("resnextd_body_bytes") <= 65536)


@case([*ONE_WORKER, "--queue-limit", "1"], seconds=60)
def a_refusal_after_the_upload_is_no_duration(daemon):
    data, _ = reference()
    request = classify_request(data)
    with daemon.connect(60) as late:
        late.send(request[:-1])
        with busy(daemon, parts=5), waiting(daemon, 1) as queued:
            before = daemon.metrics()
            late.send(request[-1:])
            check_refused(late.read())
            after = daemon.metrics()
            name = "resnextd_request_duration_seconds_count"
            assert after.sum(name) == before.sum(name), "a refusal counts as a duration of work"
            assert queued[0].read().status == 200


@case([*ONE_WORKER, "--queue-limit", "1"], seconds=60)
def who_waits_in_vain_can_leave(daemon):
    with daemon.connect(60) as stubborn, busy(daemon, parts=3), waiting(daemon, 1):
        for _ in range(5):
            stubborn.send(classify_request())
            check_refused(stubborn.read())
        stubborn.send(classify_request() * 3)
    daemon.recovered()


@case(own=None, seconds=60)
def who_waits_is_told_of_the_end():
    options = [*ONE_WORKER, "--queue-limit", "1", "--drain-timeout-s", "300"]
    with Daemon(options) as daemon, daemon.connect(60) as stubborn:
        with busy(daemon, parts=3), waiting(daemon, 1):
            for _ in range(20):
                stubborn.send(classify_request())
                check_refused(stubborn.read())
            stubborn.send(classify_request())
            daemon.process.terminate()
            assert stubborn.read().status == 503
        assert daemon.exit_code(30) == 0


@case([*ONE_WORKER, "--queue-limit", "2"], seconds=60)
def requests_without_work_are_answered_beside_a_full_queue(daemon):
    with busy(daemon, parts=2), waiting(daemon, 2) as queued:
        check_error(daemon.get("/nothing"), 404)
        check_error(daemon.get("/classify"), 405)
        assert json.loads(daemon.get("/health").body), "no health"
        for connection in queued:
            assert connection.read().status == 200


@case([*ONE_WORKER, "--queue-limit", "32"], seconds=60)
def row_20_no_inference_is_run_for_clients_that_left(daemon):
    before = daemon.metrics()
    with busy(daemon, parts=3), waiting(daemon, 12) as queued:
        for i, connection in enumerate(queued[:9]):
            if i % 3 == 0:
                connection.close()
            elif i % 3 == 1:
                connection.reset()
            else:
                connection.sock.shutdown(1)  # half-closed counts as gone
        wait_until("nine counted", lambda: gone(daemon.metrics()) - gone(before) == 9)
        for connection in queued[9:]:
            assert connection.read().status == 200
    after = daemon.metrics()
    name = "resnextd_stage_duration_seconds_count"
    for images in (after.sum("resnextd_images_total") - before.sum("resnextd_images_total"),
                   after.sum(name, stage="inference") - before.sum(name, stage="inference")):
        assert images == 3 + 3, f"{images} images, of which 3 slow ones and 3 of clients that stayed"
    assert gone(after) - gone(before) == 9


@case([*ONE_WORKER, "--queue-limit", "2"], seconds=60)
def clients_that_left_make_room_in_the_queue(daemon):
    with busy(daemon, parts=3):
        with waiting(daemon, 2):
            check_refused(daemon.classify(reference()[0]))
        wait_until("space", lambda: daemon.metrics().sum("resnextd_queue_depth") == 0, 2)
        with waiting(daemon, 2) as queued:
            for connection in queued:
                assert connection.read().status == 200


@case([*ONE_WORKER], seconds=60)
def each_instance_of_json_counts_in_the_expected_wait(daemon):
    data = reference()[0]
    text = base64.b64encode(data).decode()
    instances = json.dumps({"instances": [{"b64": text}, text, {"image": {"b64": text}}]}).encode()

    def expected_wait():
        return daemon.metrics().sum("resnextd_expected_wait_seconds")

    def wait_behind(running, connection, request, depth):
        connection.send(request)
        wait_until("it waits", lambda: not running.silent() or
                   daemon.metrics().sum("resnextd_queue_depth") == depth)
        return expected_wait()

    def attempt():
        for _ in range(40):  # so that it expects little of the slow one
            assert daemon.classify(data).status == 200
        with busy(daemon) as running, daemon.connect(60) as three, daemon.connect(60) as one:
            wait_until("it is late", lambda: not running.silent() or expected_wait() == 0)
            with_three = wait_behind(running, three, wire.request("POST", "/classify", body=instances), 1)
            with_both = wait_behind(running, one, classify_request(), 2)
            if not running.silent():
                raise Slow("the worker was free before the others waited")
            assert abs(with_three - 3 * (with_both - with_three)) < 0.01 * with_three, (with_three, with_both)
    unless_slow(attempt)


@case([*ONE_WORKER], seconds=60)
def a_client_that_leaves_while_its_picture_is_decoded_does_no_harm(daemon):
    for how in ("close", "reset"):
        with busy(daemon, close=False) as connection:
            getattr(connection, how)()
        wait_until("the worker idle", lambda: daemon.metrics().sum("resnextd_workers_busy") == 0, 10)


@case(["--workers", "1", "--request-timeout-ms", str(int(DEADLINE * 1000))], seconds=60)
def a_deadline_is_504_running_or_queued(daemon):
    body = wire.multipart([("f", f"{i}.jpg", None, jpegs.slow(95)) for i in range(5)])

    def deadlines():
        with daemon.connect(60) as running, daemon.connect(60) as queued:
            start = time.monotonic()
            running.send(wire.request("POST", "/classify", [wire.form_type()], body))
            wait_until("the worker busy, or done", lambda: not running.silent() or
                       daemon.metrics().sum("resnextd_workers_busy") == 1)
            queued.send(classify_request())
            check_error(running.read(), 504, "deadline_exceeded")
            assert DEADLINE * 0.9 < time.monotonic() - start, "504 too early"
            answer = queued.read()
            if answer.status == 503:  # in a second attempt, when it knows that there is no time
                check_error(answer, 503, "deadline_unreachable")
            elif answer.status != 200:  # 200 if the worker was free in time
                check_error(answer, 504, "deadline_exceeded")

    def attempt():
        quick(DEADLINE / SLOW + 1, deadlines)
        if daemon.classify(reference()[0]).status != 200:
            raise Slow("the worker went on with a picture nobody waits for")
    unless_slow(attempt)
    assert daemon.metrics().sum("resnextd_requests_total", code="504") >= 1
    images = daemon.metrics().sum("resnextd_images_total")
    time.sleep(0.5)
    assert daemon.metrics().sum("resnextd_images_total") == images, "it still does"


@case(["--workers", "1", "--request-timeout-ms", str(int(DEADLINE * 1000)), "--queue-limit", "40"],
      seconds=60)
def no_inference_is_run_past_the_deadline(daemon):
    before = daemon.metrics().sum("resnextd_images_total")
    data = jpegs.slow(95)
    connections = [daemon.connect(60) for _ in range(12)]
    for connection in connections:
        connection.send(classify_request(data))
    answers = [connection.read() for connection in connections]
    for connection in connections:
        connection.close()
    done = sum(a.status == 200 for a in answers)
    for answer in answers:
        if answer.status != 200:  # of an upload that ended late it is known beforehand
            error = check_error(answer, (503, 504))
            assert error["code"] in ("deadline_unreachable", "deadline_exceeded"), answer
    assert done < 6, f"{done} of 12 slow pictures within {DEADLINE} s"
    images = daemon.metrics().sum("resnextd_images_total") - before
    assert images <= done + 1, f"{images} images worked on for {done} answers"


@case(["--workers", "1", "--queue-limit", "8"], seconds=60)
def under_ten_times_the_load_the_work_goes_on(daemon):
    data, scores = reference()
    seconds = 1.5

    def load(clients):
        """Closed loops for some seconds: (good answers for each second of the CPU, times of refusals)."""
        good, refusals, lock = [0], [], threading.Lock()
        end, used = time.monotonic() + seconds, daemon.cpu_seconds()

        def client(_):
            connection = daemon.connect()
            while time.monotonic() < end:
                start = time.monotonic()
                answer = connection.ask("POST", "/classify", body=data)
                took = time.monotonic() - start
                if answer.header("connection") == "close":
                    connection.close()
                    connection = daemon.connect()
                if answer.status == 200:
                    check_scores(predictions(answer), scores)
                    with lock:
                        good[0] += 1
                else:
                    check_refused(answer)
                    with lock:
                        refusals.append(took)
                    time.sleep(0.02)
            connection.close()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            list(pool.map(client, range(clients)))
        return good[0] / (daemon.cpu_seconds() - used), refusals

    def attempt():
        alone, _ = load(4)
        crowded, refusals = load(40)
        assert refusals, "forty clients and a queue of eight, and nobody was refused"
        least = 0.2 if harness.SANITIZER == "thread" else 0.5  # it makes HTTP dear, and the network not
        assert crowded > alone * least, f"{crowded:.0f} a second of the CPU beside {alone:.0f} before"
        if statistics.median(refusals) >= 0.2 * SLOW:
            raise Slow(f"refusals took {statistics.median(refusals)} s")
    unless_slow(attempt)
    for target in ("/livez", "/metrics"):
        assert daemon.get(target).status == 200


if __name__ == "__main__":
    harness.main()
