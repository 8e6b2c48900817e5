"""The protocol between the harness and a Python adapter: arguments, JSON lines, logs and payloads."""

import argparse
import collections
import json
import os
import sys
import threading
import time

BULK = 10_000
FLUSH_SECONDS = 0.05
# How long after the end of its time a producer still inserts events.
LATE_SECONDS = 0.1


def arguments():
    """Returns the command line's values; `task` is setup, serve, produce or consume."""
    parser = argparse.ArgumentParser()
    tasks = parser.add_subparsers(dest="task", required=True)
    setup = tasks.add_parser("setup")
    setup.add_argument("--consumers", type=int, default=1)
    tasks.add_parser("serve")
    add_produce(tasks.add_parser("produce"))
    add_consume(tasks.add_parser("consume"))
    return parser.parse_args()


def add_produce(parser):
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--count", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--per-transaction", choices=["1", "100", "bulk"], default="1")
    parser.add_argument("--connections", type=int, choices=[1], default=1)
    parser.add_argument("--payload-bytes", type=int, default=75)
    parser.add_argument("--log", required=True)


def add_consume(parser):
    parser.add_argument("--consumer", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--work-ms", type=float, default=0)
    parser.add_argument("--until", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--log", required=True)
    parser.add_argument("--poison", type=int)
    parser.add_argument("--into-table", action="store_true")


def database_url():
    return os.environ["DATABASE_URL"]


def emit(kind, **fields):
    """Prints a line of the protocol."""
    print(json.dumps({"kind": kind, **fields}), flush=True)


def microseconds():
    return time.time_ns() // 1000


def payload(number, size):
    """Returns the JSON text of an event, `size` bytes long."""
    head = '{"n":%d,"pad":"' % number
    return head + "x" * (size - len(head) - 2) + '"}'


def number_of(text):
    """Returns the number of the event that has this payload."""
    return json.loads(text)["n"]


class Schedule:
    """The transactions to produce: (first number, count, seconds to wait before). At a fixed rate, none after the time."""

    def __init__(self, options):
        sizes = {"1": 1, "100": 100, "bulk": BULK}
        self.first = options.first
        self.size = sizes[options.per_transaction]
        self.rate = options.rate
        self.seconds = options.seconds
        self.count = int(options.rate * options.seconds) if options.rate else options.count

    def __iter__(self):
        began = time.monotonic()
        done = 0
        while done < self.count:
            size = min(self.size, self.count - done)
            if self.rate and time.monotonic() > began + self.seconds + LATE_SECONDS:
                return
            due = began + (done + size) / self.rate if self.rate else began
            yield self.first + done, size, max(0.0, due - time.monotonic())
            done += size


class TransactionLog:
    """Writes down when each transaction began and when its commit returned."""

    def __init__(self, path):
        self.file = open(path, "w")
        self.began = time.monotonic()
        self.count = 0

    def add(self, first, count, begin):
        self.file.write("%d %d %d %d\n" % (first, count, begin, microseconds()))
        self.count += count

    def finish(self):
        self.file.close()
        emit("produced", count=self.count, seconds=time.monotonic() - self.began)


class EventLog:
    """Writes down when a handler sees each event, and counts."""

    def __init__(self, path):
        self.file = open(path, "a")
        self.lines = collections.deque()
        self.flushing = threading.Lock()
        self.handled = 0
        self.failed = 0
        self.began = time.monotonic()
        threading.Thread(target=self.flush_repeatedly, daemon=True).start()

    def see(self, number):
        self.lines.append("%d %d\n" % (number, microseconds()))

    def flush_repeatedly(self):
        while True:
            time.sleep(FLUSH_SECONDS)
            self.flush()

    def flush(self):
        with self.flushing:
            self.file.write("".join(self.lines.popleft() for _ in range(len(self.lines))))
            self.file.flush()

    def ready(self):
        self.began = time.monotonic()
        emit("ready")

    def finish(self):
        self.flush()
        emit("consumed", count=self.handled, seconds=time.monotonic() - self.began, failed=self.failed)


class Poisoned(Exception):
    """The failure of the event that `--poison` names."""


def log(text):
    print(text, file=sys.stderr, flush=True)
