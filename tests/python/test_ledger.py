"""The ledger adds up to RSS on heaps of many kinds, and the verdict names what is the matter."""

import contextlib
import os
import re
import signal
import time

import pytest
from heaps import HEAPS, JEMALLOC
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


@contextlib.contextmanager
def running(heap, port, **variables):
    """The program, and the process to look at: the forked one if there is one."""
    code = heap + WAIT
    with Program(code, port, **FAST, **variables) as program:
        assert program.process.stdout.readline() == "READY\n"
        parent = program.process.pid
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            children = [int(pid) for pid in file.read().split()]
        try:
            yield program, (children or [parent])[0]
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)


VERDICTS = {"pinned arenas": "pymalloc_fragmentation", "copying": "copy_on_write"}


@pytest.mark.parametrize("name", HEAPS)
def test_everything_is_explained(name, free_port):
    with running(HEAPS[name], free_port) as (program, pid):
        look = look_after(program, pid, 4)
        assert program.reason("ledger") is None
        unexplained = abs(look.components["unexplained"])
        assert unexplained < max(0.05 * look.resident, 10 * MEGABYTE), look.components
        with open(f"/proc/{pid}/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert abs(look.resident - resident) < 0.02 * resident + 2 * MEGABYTE
        live = look.value("python_memory_live_bytes")
        ratio = look.value("python_memory_rss_to_live_ratio")
        assert ratio == pytest.approx(look.resident / live, rel=1e-6)
        if name in VERDICTS:
            assert look.verdict() == VERDICTS[name]
            assert look.value("python_memory_verdict_gain_bytes") > 40 * MEGABYTE


@pytest.mark.skipif(not JEMALLOC, reason="no libjemalloc2")
def test_everything_is_explained_with_jemalloc(free_port):
    with running(HEAPS["native"], free_port, LD_PRELOAD=JEMALLOC) as (program, pid):
        look = look_after(program, pid, 1)
        unexplained = abs(look.components["unexplained"])
        assert unexplained < max(0.05 * look.resident, 10 * MEGABYTE), look.components


def test_parts_are_where_they_were_put(free_port):
    with running(HEAPS["deep stacks"], free_port) as (program, pid):
        assert look_after(program, pid, 1).components["stacks"] > 5 * MEGABYTE


# Some ten megabytes a second, as long as it is looked at.
LEAK = """
import sys, time
class Leaked: __slots__ = ("payload",)
kept = [bytes(100) for _ in range(500_000)]
print("READY", flush=True)
while True:
    for _ in range(4000):
        one = Leaked(); one.payload = bytes(150); kept.append(one)
    time.sleep(0.05)
"""
LEAK_NATIVE = """
import ctypes, sys, time
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
kept = [bytes(100) for _ in range(500_000)]
print("READY", flush=True)
while True:
    for _ in range(200):
        libc.memset(libc.malloc(4000), 1, 4000)
    time.sleep(0.05)
"""


@pytest.mark.parametrize(("code", "named"), [(LEAK, "leak"), (LEAK_NATIVE, "native_growth")])
def test_a_leak_is_named(code, named, free_port):
    with Program(code, free_port, **FAST) as program:
        assert program.process.stdout.readline() == "READY\n"
        pid = program.process.pid
        look = look_at(program, pid)
        end = time.monotonic() + 15
        while look.verdict() != named and time.monotonic() < end:
            look = look_at(program, pid, look.made_at())
        assert look.verdict() == named, look.components
        assert look.value("python_memory_verdict_bytes") > 32 * MEGABYTE
        assert look.value("python_memory_verdict_ratio") > 0.1
