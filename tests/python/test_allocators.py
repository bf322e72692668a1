"""Which allocator answers malloc() is detected; the others are asked for their statistics."""

import subprocess
import time

import pytest
from running import Program

# Keeps 100 MB in large blocks, and is never idle.
BUSY = """
import sys, threading
kept = [bytes(1000) for _ in range(100_000)]
threading.Thread(target=sys.stdin.readline, daemon=True).start()
while True:
    sum(range(10_000))
"""
KEPT_BYTES = 100_000 * 1033

LIBRARIES = {
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "mimalloc": "libmimalloc.so",
}


def find_library(name):
    """The full path of a library that the dynamic linker knows."""
    lines = subprocess.check_output(["/sbin/ldconfig", "-p"], text=True).splitlines()
    paths = [line.split("=> ")[1] for line in lines if line.split()[0].startswith(name)]
    assert paths, f"{name} is not installed"
    return paths[0]


def rows_of(program, name):
    """{labels: value} of a metric, once the walk has been made."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        rows = program.scrape()
        found = {row: float(value) for row, value in rows.items() if row.startswith(name + "{")}
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"no {name}: {program.reason('malloc')}")


def value_of(program, name, state):
    (value,) = (value for row, value in rows_of(program, name).items() if f'state="{state}"' in row)
    return value


def start(port, **variables):
    return Program(BUSY, port, PYMALLOC_EXPORTER_SLOW_INTERVAL="0.2", **variables)


def test_reads_glibc(free_port):
    with start(free_port) as program:
        assert value_of(program, "malloc_bytes", "in_use") > KEPT_BYTES
        (info,) = rows_of(program, "malloc_info")
        assert 'allocator="glibc",version="2.' in info
        assert program.reason("malloc") is None


@pytest.mark.parametrize("allocator", LIBRARIES)
def test_reads_a_preloaded_allocator(free_port, allocator):
    library = find_library(LIBRARIES[allocator])
    with start(free_port, LD_PRELOAD=library) as program:
        state = "undivided" if allocator == "mimalloc" else "in_use"
        in_use = value_of(program, "malloc_bytes", state)
        assert KEPT_BYTES < in_use < 2 * KEPT_BYTES
        (info,) = rows_of(program, "malloc_info")
        assert f'allocator="{allocator}"' in info
        for collector in ("malloc", "pymalloc", "gc", "process", "freelists"):
            assert program.reason(collector) is None, collector


UNKNOWN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
// Another's malloc: counts nothing, passes on.
extern void* __libc_malloc(size_t);
void* malloc(size_t bytes) { return __libc_malloc(bytes); }
"""


def test_declares_an_allocator_that_it_does_not_know(free_port, tmp_path):
    library = tmp_path / "unknown.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library]
    subprocess.run(command, input=UNKNOWN, text=True, check=True)
    with start(free_port, LD_PRELOAD=str(library)) as program:
        (info,) = rows_of(program, "malloc_info")
        assert 'allocator="unknown"' in info
        assert program.reason("malloc") == "unknown_allocator"
        assert not any(row.startswith("malloc_bytes") for row in program.scrape())
