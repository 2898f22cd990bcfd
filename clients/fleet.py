#!/usr/bin/python3 -B
"""How long requests wait, and how many machines a load needs: simulates instances of resnextd.

Requests arrive at random (Poisson). Each instance has workers, which take one request at a time in order
of arrival, and a bounded queue, as resnextd has; a balancer in front gives a request to the instance with
the fewest in hand, as HAProxy's leastconn does, or to any. An image takes a worker a fixed time, or one of
the times in a file: a log of resnextd at level info, text or JSON, from which decoding, preprocessing and
inference are taken, or numbers (ms), one a line.

  fleet.py --ms 60 --workers 16                        the table of load against latency
  fleet.py --ms 60 --workers 16 --rate 1000 --p99 250  the smallest fleet for 1000 images a second
"""
import argparse
import heapq
import json
import random
import re
import sys

LOADS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.2, 2.0)
WARM_UP = 0.1  # of the arrivals are not counted
STAGES = ("decode_ms", "preprocess_ms", "inference_ms")  # those of a worker, in a log


class Result:
    """`waits` and `latencies` in ms, sorted, of the requests that were served."""

    def __init__(self, waits, latencies, refused):
        self.waits, self.latencies = sorted(waits), sorted(latencies)
        self.refused = refused / max(1, refused + len(waits))

    def latency(self, quantile):
        """inf where nothing was served."""
        if not self.latencies:
            return float("inf")
        return self.latencies[round(quantile * (len(self.latencies) - 1))]

    def mean_wait(self):
        return sum(self.waits) / max(1, len(self.waits))


def simulate(rate, times, instances, workers, queue_limit, balance="least", arrivals=100000, seed=1):
    """`rate` requests a second for a fleet; `times` in ms."""
    chance = random.Random(seed)
    gap = 1000.0 / rate
    free = [[0.0] * workers for _ in range(instances)]  # when each worker is; heaps
    in_hand, leaving = [0] * instances, []
    waits, latencies, refused, now = [], [], 0, 0.0
    for number in range(arrivals):
        now += chance.expovariate(1.0) * gap
        while leaving and leaving[0][0] <= now:
            in_hand[heapq.heappop(leaving)[1]] -= 1
        if balance == "least":
            fewest = min(in_hand)
            i = chance.choice([j for j, n in enumerate(in_hand) if n == fewest])
        else:
            i = chance.randrange(instances)
        counts = number >= WARM_UP * arrivals
        if in_hand[i] >= workers + queue_limit:
            refused += counts
            continue
        start = max(now, free[i][0])
        end = start + chance.choice(times)
        heapq.heapreplace(free[i], end)
        heapq.heappush(leaving, (end, i))
        in_hand[i] += 1
        if counts:
            waits.append(start - now)
            latencies.append(end - now)
    return Result(waits, latencies, refused)


def fits(result, p99):
    return result.refused == 0 and result.latency(0.99) <= p99


def smallest(rate, p99, times, **fleet):
    """(instances, their result) of the smallest fleet that serves the rate within p99 ms, refusing
    nobody; None if no fleet does."""
    if max(times) > p99 and sorted(times)[round(0.99 * (len(times) - 1))] > p99:
        return None
    mean = sum(times) / len(times)
    instances = max(1, int(rate * mean / 1000 / fleet["workers"]))
    while True:
        result = simulate(rate, times, instances, **fleet)
        if fits(result, p99):
            return instances, result
        instances += 1


def positive(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def logged(line):
    """The fields of a line of the log; {} of one that is none. Those of text are numbers alone."""
    try:
        fields = json.loads(line[line.index("{"):])
        return fields if isinstance(fields, dict) else {}
    except ValueError:
        return dict(re.findall(r" (\w+)=([\d.]+)", re.sub(r'"(?:[^"\\]|\\.)*"', "", line)))


def times_of(request):
    """The times in ms of its images, each with the same share; none where no network ran."""
    try:
        spent, images = [float(request[stage]) for stage in STAGES], int(request["pictures"])
    except (KeyError, TypeError, ValueError):
        return []
    return images * [sum(spent) / images] if images > 0 and spent[-1] > 0 else []


def read_times(lines):
    lines = [line.strip() for line in lines if line.strip()]
    found = [time for line in lines for time in times_of(logged(line))]
    return found or [positive(line) for line in lines]


def count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count")
    return value


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     epilog="Times are of one worker, beside as many busy ones.")
    work = parser.add_mutually_exclusive_group(required=True)
    work.add_argument("--ms", type=positive, help="an image takes a worker so long")
    work.add_argument("--times", type=argparse.FileType(errors="replace"), metavar="FILE",
                      help="or each of these: the log of resnextd as it is, or numbers, one a line")
    parser.add_argument("--workers", type=count, required=True, help="of an instance: its CPUs")
    parser.add_argument("--queue-limit", type=count, help="of an instance (default 8 x workers)")
    parser.add_argument("--instances", type=count, default=1, help="for the table (default 1)")
    parser.add_argument("--balance", choices=("least", "random"), default="least")
    parser.add_argument("--arrivals", type=count, default=100000, help="to simulate (default 100000)")
    parser.add_argument("--rate", type=positive, help="images a second to find a fleet for")
    parser.add_argument("--p99", type=positive, default=500, help="ms of all but 1 %% (default 500)")
    return parser.parse_args(words)


def print_table(times, instances, fleet):
    capacity = instances * fleet["workers"] * 1000 * len(times) / sum(times)
    print(f"{instances} x {fleet['workers']} workers: {capacity:.1f} images/s at most\n")
    print("| load | images/s | mean wait | p50 | p99 | refused |\n| --- | --- | --- | --- | --- | --- |")
    for load in LOADS:
        result = simulate(load * capacity, times, instances, **fleet)
        print(f"| {load:g} | {load * capacity:.0f} | {result.mean_wait():.1f} ms | "
              f"{result.latency(0.5):.0f} ms | {result.latency(0.99):.0f} ms | {result.refused:.1%} |")


def print_fleet(rate, p99, times, fleet):
    found = smallest(rate, p99, times, **fleet)
    if not found:
        print(f"no fleet answers within {p99:g} ms what takes a worker longer", file=sys.stderr)
        return 1
    instances, result = found
    load = rate * sum(times) / len(times) / 1000 / (instances * fleet["workers"])
    print(f"{instances} instances of {fleet['workers']} workers for {rate:g} images/s: load {load:.2f}, "
          f"p50 {result.latency(0.5):.0f} ms, p99 {result.latency(0.99):.0f} ms")
    print(f"one may fail: {instances + 1}")
    return 0


def main(words):
    options = parse(words)
    try:
        times = [options.ms] if options.ms else read_times(options.times)
    except (argparse.ArgumentTypeError, ValueError) as wrong:
        print(f"{options.times.name}: neither times nor a log with requests (level info): {wrong}",
              file=sys.stderr)
        return 2
    if not times:
        print("the file has no times", file=sys.stderr)
        return 2
    fleet = {"workers": options.workers, "queue_limit": options.queue_limit or 8 * options.workers,
             "balance": options.balance, "arrivals": options.arrivals}
    if options.rate:
        return print_fleet(options.rate, options.p99, times, fleet)
    print_table(times, options.instances, fleet)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
