"""What remedies do, by what the process itself says; and who may apply them."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time

import pymalloc_exporter
import pytest
from asking import ask, remedy
from running import Program
from starting import environment

# The talk's experiment, smaller: strings from 16 to 1584 bytes, every second one kept, then
# everything deleted but one last block, which keeps the C heap from shrinking.
TALK = """
import sys
def talk(scale):
    kept = []
    for i in range(1, 100):
        strings = [" " * i * 16 for j in range(scale // i)]
        kept.append(strings[::2])
    pin = bytearray(4096)
    del strings, kept
    return pin
"""

# Waits for a line, but comes by to run what is pending.
WAIT = """
print("ready", flush=True)
import select, time
while not select.select([sys.stdin], [], [], 0.01)[0]:
    pass
"""


def resident(pid="self"):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def at_work(code, port, **variables):
    program = Program(code + WAIT, port, PYMALLOC_EXPORTER_ENABLE_ADMIN_API="on", **variables)
    assert program.process.stdout.readline() == "ready\n"
    program.scrape()
    return program


# From Python.


def test_trim_gives_back_what_the_talk_leaves_behind():
    figures = run(
        TALK
        + """
import json, os, pymalloc_exporter
pymalloc_exporter.trim()  # whatever imports left
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
begun = resident()
pin = talk(400_000)
left = resident()
print(json.dumps([begun, left, pymalloc_exporter.trim(), resident()]))
"""
    )
    begun, left, relief, ended = figures
    assert left - begun > 50 << 20
    assert abs(relief["resident_before_bytes"] - left) < 1 << 20
    assert abs(relief["resident_after_bytes"] - ended) < 1 << 20
    assert ended - begun < 5 << 20
    assert 0 < relief["stalled_seconds"] < 10


class Cycle:
    def __init__(self):
        self.me = self


def test_collect_finds_what_is_unreachable():
    gc.collect()
    gc.disable()
    try:
        for _ in range(1000):
            Cycle()
        assert pymalloc_exporter.collect()["unreachable_objects"] >= 1000
        assert pymalloc_exporter.collect()["unreachable_objects"] < 1000
    finally:
        gc.enable()


FREE_LISTS = """
import gc, json, time, pymalloc_exporter, sys
pymalloc_exporter.install({listen!r}, interval=0.1)
gc.disable()

def fill():
    kept = [[0.5 * i for i in range(5000)], [[i] for i in range(500)], [(i,) for i in range(500)]]
    kept = [{{i: i}} for i in range(500)]

def bytes_kept():
    rows = pymalloc_exporter._native.compare_free_lists()["ours"]
    return {{name: row["objects"] for name, row in rows.items()}}

class Cycle: pass
cycle = Cycle()
cycle.me = cycle
del cycle
fill()
before = bytes_kept()
first_frozen = gc.get_freeze_count()
{freeze}
relief = pymalloc_exporter.{remedy}()
after = bytes_kept()
alive = sum(type(one) is Cycle for one in gc.get_objects())
gc.collect()
print(json.dumps([before, relief, after, alive, first_frozen, gc.get_freeze_count()]))
"""


@pytest.mark.parametrize("name", ["clear_free_lists", "collect"])
def test_free_lists_are_cleared(name, free_port):
    listen = f"127.0.0.1:{free_port}"
    code = FREE_LISTS.format(listen=listen, remedy=name, freeze="")
    before, relief, after, alive, first_frozen, frozen = run(code)
    assert before["float"] >= 50
    assert before["dict"] >= 50
    for kind in ("float", "list", "dict", "tuple"):
        assert after[kind] < before[kind] / 2, kind
    assert relief["freelist_before_bytes"] > 4 * relief["freelist_after_bytes"]
    # Garbage is not what clearing is about.
    collects = name == "collect"
    assert alive == (0 if collects else 1)
    assert bool(relief["unreachable_objects"]) == collects
    # 3.12's collector freezes what is immortal, by itself and again.
    assert frozen == first_frozen


def test_what_the_application_froze_stays_frozen(free_port):
    listen = f"127.0.0.1:{free_port}"
    freeze = "gc.freeze(); frozen = gc.get_freeze_count()"
    code = FREE_LISTS.format(listen=listen, remedy="clear_free_lists", freeze=freeze)
    before, relief, after, _, _, frozen = run(code)
    assert frozen > 1000
    # Clearing is a collection then.
    assert relief["unreachable_objects"] >= 0
    assert after["float"] < before["float"] / 2


# Over HTTP.


def test_any_worker_is_trimmed(free_port):
    with at_work(TALK + "talk(1000)\npin = talk(400_000)", free_port) as program:
        left = resident(program.process.pid)
        status, relief = remedy(free_port, 0, "trim")
        assert status == 200
        assert abs(relief["resident_before_bytes"] - left) < 1 << 20
        assert abs(relief["resident_after_bytes"] - resident(program.process.pid)) < 1 << 20
        assert left - relief["resident_after_bytes"] > 50 << 20
        # And it shows at once.
        rows = program.scrape()
        (shown,) = (rows[name] for name in rows if name.startswith("process_resident_memory_bytes"))
        assert abs(float(shown) - relief["resident_after_bytes"]) < 1 << 20


def test_any_worker_collects(free_port):
    code = """
import gc, sys
gc.disable()
class Cycle: pass
for _ in range(1000):
    cycle = Cycle()
    cycle.me = cycle
"""
    with at_work(code, free_port):
        status, relief = remedy(free_port, 0, "clear-free-lists")
        assert (status, relief["unreachable_objects"]) == (200, 0)
        status, relief = remedy(free_port, 0, "collect")
        assert status == 200
        assert relief["unreachable_objects"] >= 999
        assert remedy(free_port, 0, "collect")[1]["unreachable_objects"] < 999


BLOCKED = """
import gc, sys
started = []
gc.callbacks.append(lambda phase, info: started.append(phase))
gc.disable()
print("ready", flush=True)
sys.stdin.readline()
started.clear()  # what runs from here on was left behind
for _ in range(100_000): pass
print(len(started), flush=True)
sys.stdin.readline()
"""


def test_a_main_thread_that_is_blocked_is_not_waited_for(free_port):
    with Program(BLOCKED, free_port, PYMALLOC_EXPORTER_ENABLE_ADMIN_API="on") as program:
        assert program.process.stdout.readline() == "ready\n"
        program.scrape()
        status, answer = remedy(free_port, 0, "collect")
        assert (status, answer) == (504, {"error": "not run: the main thread did not come by"})
        program.process.stdin.write("go on\n")
        program.process.stdin.flush()
        assert program.process.stdout.readline() == "0\n"


FORKING = """
import os, select, sys, warnings
warnings.simplefilter("ignore")
while not select.select([sys.stdin], [], [], 0.05)[0]:
    child = os.fork() or os._exit(0)
    os.waitpid(child, 0)
"""


def wait_for_workers(port, count):
    """By pid; a process shows when it is a second old."""
    end = time.monotonic() + 15
    while len(workers := ask(port, "/api/v1/workers")[1]["workers"]) < count:
        assert time.monotonic() < end
        time.sleep(0.05)
    return {row["pid"]: row["worker"] for row in workers}


def test_remedies_amid_forks(free_port):
    with at_work("import sys", free_port) as serving:
        with Program(FORKING, free_port, PYMALLOC_EXPORTER_ENABLE_ADMIN_API="on") as program:
            worker = wait_for_workers(free_port, 2)[program.process.pid]
            done = set()
            end = time.monotonic() + 15
            while len(done) < 3 and time.monotonic() < end:
                for name in ("trim", "collect", "clear-free-lists"):
                    status, _ = remedy(free_port, worker, name)
                    assert status in (200, 404, 503)
                    if status == 200:
                        done.add(name)
            assert done == {"trim", "collect", "clear-free-lists"}
            assert program.process.poll() is None
        assert serving.process.poll() is None


def test_remedies_are_off_unless_enabled(free_port):
    with Program("import sys; sys.stdin.readline()", free_port) as program:
        program.scrape()
        for name in ("trim", "collect", "clear-free-lists"):
            assert remedy(free_port, 0, name)[0] == 404


def test_a_worker_that_allows_none_is_left_alone(free_port):
    """Whoever serves may allow remedies; it is the worker's own setting that counts."""
    with at_work("import sys", free_port):
        quiet = "import sys; sys.stdin.readline()"
        with Program(quiet, free_port) as program:
            workers = wait_for_workers(free_port, 2)
            assert remedy(free_port, workers.pop(program.process.pid), "trim")[0] == 403
            assert remedy(free_port, *workers.values(), "trim")[0] == 200


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("POST", {"X_Pymalloc_Exporter": "1"}, 200),
        ("POST", {"X_Pymalloc_Exporter": "1", "Host": "localhost:PORT"}, 200),
        ("GET", {"X_Pymalloc_Exporter": "1"}, 405),
        ("PUT", {"X_Pymalloc_Exporter": "1"}, 405),
        ("POST", {}, 403),
        ("POST", {"X_Pymalloc_Exporter": "0"}, 403),
        ("POST", {"X_Pymalloc_Exporter": "1", "Host": "evil.example:PORT"}, 403),
        ("POST", {"X_Pymalloc_Exporter": "1", "Host": "127.0.0.1"}, 403),
        ("POST", {"X_Pymalloc_Exporter": "1", "Origin": "http://evil.example"}, 403),
        ("POST", {"X_Pymalloc_Exporter": "1", "Origin": "null"}, 403),
    ],
)
def test_who_may_apply_a_remedy(method, headers, expected, enabled):
    given = {name: value.replace("PORT", str(enabled)) for name, value in headers.items()}
    assert ask(enabled, "/api/v1/workers/0/trim", method, **given)[0] == expected


@pytest.fixture(scope="module")
def enabled(request):
    """The port of a process that allows remedies."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with at_work("import sys", port):
        yield port
