"""The metrics that a real ticker serves."""

import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import catalogue

SOURCE = Path(__file__).resolve().parents[2] / "pgq/src/status/metrics.rs"
LIMIT = 60
HELP = re.compile(r"^# HELP (\w+) (.*)$", re.M)


def metrics() -> dict[str, tuple[list[str], str]]:
    """Returns each metric with its labels and its meaning. Waits until the ticker serves all that the source names."""
    wanted = set(re.findall(r'"(pgq_\w+)"', SOURCE.read_text(encoding="utf-8")))
    with ticker() as address:
        deadline, text = time.monotonic() + LIMIT, ""
        while not wanted <= set(HELP.sub("", text).replace("{", " ").split()):
            if time.monotonic() > deadline:
                sys.exit(f"scrape.py: the ticker does not serve all of {sorted(wanted)}:\n{text}")
            # Two ticks after an event, the rate of events is known as well.
            catalogue.run("psql", "-XAtqc", "select pgq.insert_event('orders', 'x', '')", catalogue.DATABASE)
            time.sleep(0.2)
            text = fetch(address) or text
    return {name: (labels(text, name), meaning) for name, meaning in HELP.findall(text)}


def labels(text: str, name: str) -> list[str]:
    sample = re.search(rf"^{name}{{(.*)}} ", text, re.M)
    return re.findall(r'(\w+)="', sample[1]) if sample else []


def fetch(address: str) -> str | None:
    try:
        with urllib.request.urlopen(address, timeout=10) as reply:
            return reply.read().decode("utf-8")
    except (OSError, urllib.error.URLError):
        return None


@contextmanager
def ticker():
    """Runs a ticker; the value is the address of its metrics."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
        file.write(f"[pgqadm]\ndb = dbname={catalogue.DATABASE}\nmetrics_listen = 127.0.0.1:{port}\n")
        file.flush()
        process = subprocess.Popen(["pgqadm", "-q", file.name, "ticker"])
        try:
            yield f"http://127.0.0.1:{port}/metrics"
        finally:
            process.terminate()
            process.wait()
