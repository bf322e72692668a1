"""The ledger adds up to RSS on heaps of many kinds, and the verdict names what is the matter."""

import contextlib
import os
import re
import signal
import socket
import time

import pytest
from heaps import HEAPS, JEMALLOC, LEAK, LEAK_NATIVE
from running import Program

MEGABYTE = 1 << 20

# Beats as fast as they go: what they cost does not matter here.
FAST = {"PYMALLOC_EXPORTER_SLOW_INTERVAL": "0.05", "PYMALLOC_EXPORTER_SLOW_CPU": "30"}

# Something has to be done, or the figures of an idle process are left as they are.
WAIT = """
import sys, threading, time
print("READY", flush=True)
def spin():
    while True:
        sum(range(3000)); time.sleep(0.01)
threading.Thread(target=spin, daemon=True).start()
sys.stdin.readline()
"""


class Look:
    """One scrape's ledger of the process `pid`."""

    def __init__(self, rows, pid):
        (labels,) = [
            name[len("process_pid") : -1]
            for name, value in rows.items()
            if name.startswith("process_pid{") and int(float(value)) == pid
        ]
        self.rows, self.labels = rows, labels
        self.components = self.by("python_memory_bytes", "component")
        self.resident = sum(self.components.values())

    def by(self, name, label):
        pattern = re.compile(re.escape(f'{name}{self.labels},{label}="') + '([^"]*)"}$')
        found = {pattern.match(row): value for row, value in self.rows.items()}
        return {match[1]: float(value) for match, value in found.items() if match}

    def value(self, name):
        return float(self.rows[f"{name}{self.labels}}}"])

    def verdict(self):
        (held,) = [
            name for name, value in self.by("python_memory_verdict", "verdict").items() if value
        ]
        return held

    def made_at(self):
        times = self.by("pymalloc_exporter_collector_timestamp_seconds", "collector")
        return times.get("ledger", 0.0)


def look_at(program, pid, since=0.0, timeout=20.0):
    """A ledger that was made after `since`."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with contextlib.suppress(ValueError):
            look = Look(program.scrape(), pid)
            if look.made_at() > since:
                return look
        time.sleep(0.02)
    raise TimeoutError("no ledger")


def look_after(program, pid, looks):
    """The ledger after so many more have been made."""
    look = look_at(program, pid)
    for _ in range(looks):
        look = look_at(program, pid, look.made_at())
    return look


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def unused_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture(scope="module")
def programs():
    """{name: (program, pid of the process to look at)}; all run at once, to save time."""
    codes = {name: heap + WAIT for name, heap in HEAPS.items()}
    codes.update({"leak": LEAK, "native_growth": LEAK_NATIVE})
    with contextlib.ExitStack() as stack:
        found = {}
        for port, (name, code) in zip(unused_ports(len(codes)), codes.items()):
            more = {"LD_PRELOAD": JEMALLOC} if name == "jemalloc" else {}
            program = stack.enter_context(Program(code, port, **FAST, **more))
            found[name] = program
        for name, program in found.items():
            assert program.process.stdout.readline() == "READY\n", name
            children = children_of(program.process.pid)
            for pid in children:
                stack.callback(os.kill, pid, signal.SIGKILL)
            found[name] = program, (children or [program.process.pid])[0]
        yield found


VERDICTS = {"pinned arenas": "pymalloc_fragmentation", "copying": "copy_on_write"}


@pytest.mark.parametrize("name", HEAPS)
def test_everything_is_explained(name, programs):
    program, pid = programs[name]
    look = look_after(program, pid, 4)
    unexplained = abs(look.components["unexplained"])
    assert unexplained < max(0.05 * look.resident, 10 * MEGABYTE), look.components
    with open(f"/proc/{pid}/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert abs(look.resident - resident) < 0.02 * resident + 2 * MEGABYTE
    live = look.value("python_memory_live_bytes")
    ratio = look.value("python_memory_rss_to_live_ratio")
    assert ratio == pytest.approx(look.resident / live, rel=1e-6)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_names_what_is_the_matter(name, programs):
    look = look_after(*programs[name], 4)
    assert look.verdict() == VERDICTS[name], look.components
    assert look.value("python_memory_verdict_gain_bytes") > 40 * MEGABYTE


def test_stacks_are_found(programs):
    assert look_at(*programs["deep stacks"]).components["stacks"] > 5 * MEGABYTE


@pytest.mark.parametrize("named", ["leak", "native_growth"])
def test_a_leak_is_named(named, programs):
    program, pid = programs[named]
    look = look_at(program, pid)
    end = time.monotonic() + 30
    while look.verdict() != named and time.monotonic() < end:
        look = look_at(program, pid, look.made_at())
    assert look.verdict() == named, look.components
    assert look.value("python_memory_verdict_bytes") > 32 * MEGABYTE
    assert look.value("python_memory_verdict_ratio") > 0.1
