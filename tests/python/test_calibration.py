"""Every collector is proven on the running interpreter, or it is down and says why."""

import importlib.machinery
import json
import shutil
import sys
import time

import pytest
from running import Program, assert_equal
from starting import EXTENSION, PACKAGE, copy_package

# Reads, sleeps and reads again with nothing between: meanwhile the sampler reads the same as
# one of them (what the first makes of its answer comes after it; 3.12 may give a block back at
# the second).
AT_REST = """
import json, sys, time
from pymalloc_exporter import _native
kept = [object() for _ in range(300_000)]
del kept[::3]
both = _native.compare()
time.sleep(1.5)
both = _native.compare()
print("at rest", flush=True)
both = _native.compare()
time.sleep(3)
print(json.dumps([_native.compare()["ours"], both["ours"]]), flush=True)
sys.stdin.readline()
"""

WAIT = "import sys; sys.stdin.readline()"

# An arena allocator that is not the interpreter's own, as a C extension would set it: its
# context is calloc's first argument. Its arenas are lost when they are freed (EINVAL).
FOREIGN = """
import ctypes
ALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
class Allocator(ctypes.Structure):
    _fields_ = [("context", ctypes.c_void_p), ("alloc", ctypes.c_void_p), ("free", FREE)]
current = Allocator()
ctypes.pythonapi.PyObject_GetArenaAllocator(ctypes.byref(current))
libc = ctypes.CDLL(None)
foreign = Allocator(1, ctypes.cast(libc.calloc, ctypes.c_void_p), current.free)
"""


def assert_equals_one(rows, readings):
    live = next(
        float(value)
        for name, value in rows.items()
        if name.startswith("pymalloc_bytes{") and 'state="live"' in name
    )
    assert_equal(rows, next((it for it in readings if it["live_bytes"] == live), readings[0]))


def test_metrics_equal_the_interpreter_at_rest(free_port):
    with Program(AT_REST, free_port) as program:
        assert program.process.stdout.readline() == "at rest\n"
        time.sleep(1)  # in the last of its sleeps
        rows = program.scrape()
        assert_equals_one(rows, json.loads(program.process.stdout.readline()))


@pytest.mark.parametrize("collector", ["process", "pymalloc", "gc"])
@pytest.mark.parametrize("allocator", ["pymalloc", "pymalloc_debug"])
def test_is_up(free_port, collector, allocator):
    with Program(WAIT, free_port, PYTHONMALLOC=allocator) as program:
        assert program.reason(collector) is None


OTHER_ABIS = [
    "_native" + suffix
    for suffix in importlib.machinery.EXTENSION_SUFFIXES
    if "_native" + suffix != EXTENSION and (PACKAGE / f"_native{suffix}").exists()
]


@pytest.mark.skipif(not OTHER_ABIS, reason="only a debug build loads what was built for another")
def test_debug_build_proves_the_extension_of_the_release_too(free_port, tmp_path):
    bootstrap = copy_package(tmp_path)
    (bootstrap.parent / EXTENSION).unlink()
    shutil.copy(PACKAGE / OTHER_ABIS[0], bootstrap.parent)
    command = ["/usr/bin/env", f"PYTHONPATH={bootstrap}", sys.executable, "-c", AT_REST]
    with Program("", free_port, command) as program:
        assert program.process.stdout.readline() == "at rest\n"
        time.sleep(1)  # in the last of its sleeps
        rows = program.scrape()
        assert [program.reason(name) for name in ("process", "pymalloc", "gc")] == [None] * 3
        assert_equals_one(rows, json.loads(program.process.stdout.readline()))


@pytest.mark.parametrize("allocator", ["malloc", "malloc_debug"])
def test_says_that_there_are_no_arenas(free_port, allocator):
    with Program(WAIT, free_port, PYTHONMALLOC=allocator) as program:
        assert program.reason("pymalloc") == "allocator_malloc"
        assert program.reason("process") is None
        assert not any(name.startswith("pymalloc_arenas") for name in program.scrape())


def test_says_that_the_interpreter_has_no_oracle(free_port):
    # A debug build of 3.12 or later keeps in mind that pymalloc is below (is_debug_enabled).
    debug_build = hasattr(sys, "gettotalrefcount")
    reason = None if debug_build and sys.version_info >= (3, 12) else "no_oracle"
    with Program(WAIT, free_port, OPTIONS="-X tracemalloc") as program:
        assert program.reason("pymalloc") == reason


def test_is_not_misled_by_tracemalloc_later(free_port):
    code = "import tracemalloc; tracemalloc.start(); x = [[] for _ in range(10_000)]\n" + WAIT
    with Program(code, free_port) as program:
        assert program.reason("pymalloc") is None


def test_reads_no_arena_of_a_foreign_allocator(free_port):
    replace = "ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(foreign))\n"
    with Program(FOREIGN + replace + WAIT, free_port) as program:
        end = time.monotonic() + 10
        while program.reason("pymalloc") is None and time.monotonic() < end:
            time.sleep(0.1)
        assert program.reason("pymalloc") == "foreign_arena_allocator"


def test_refuses_a_foreign_allocator_that_was_there_before(free_port):
    code = FOREIGN + (
        "ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(foreign))\n"
        "from pymalloc_exporter import _native\n"
        f"_native.install(host='127.0.0.1', port={free_port}, app='x', interval=0.1, "
        "slow_interval=60.0, detail='full')\n"
    )
    with Program(code + WAIT, free_port, PYMALLOC_EXPORTER_LISTEN="off") as program:
        assert program.reason("pymalloc") == "foreign_arena_allocator"
