"""Python's objects in the C heap: counted exactly, told by type, and no other.

In each program one C call under the GIL walks the C heap and takes the census.
"""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import ctypes, gc, sys
from pymalloc_exporter import _native

_native.install(host="127.0.0.1", port={port}, app="large", interval=3600.0,
                slow_interval=3600.0, detail="full")
gc.collect()  # the classes of the proof at install are garbage

def large():
    # Twice: what the first call learned and allocated is there for the second.
    for _ in range(2): types = _native.compare_census()["types"]
    return {{name: (row["large_objects"], row["large_bytes"], row["bytes"])
            for name, row in types.items()}}

def grown(make):
    # By type: what large() counts more while make()'s result lives.
    before, kept, after = None, None, None
    before = large()
    kept = make()
    after = large()
    rows = {{name: tuple(now - then for now, then in zip(row, before.get(name, (0, 0, 0))))
            for name, row in after.items()}}
    return {{name: row for name, row in rows.items() if row[0] or row[2] > 100_000}}

def chunk(size):
    # What malloc takes for it; or one step more, where it would leave less than a chunk.
    # In debug builds two layers of debugging come to it.
    return (size + (48 if hasattr(sys, "gettotalrefcount") else 0) + 8 + 15) // 16 * 16

class Slots:
    __slots__ = tuple(f"a{{i}}" for i in range(100))
class Other: pass

{body}
print("right")
"""


def run(body, port):
    program = PROGRAM.format(body=textwrap.dedent(body), port=port)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr, done.returncode) == ("right\n", "", 0)


MADE = {
    "tuple": "[(None,) * (80 + i % 300) for i in range(3000)]",
    "str": "['x' * (500 + i % 3000) for i in range(3000)]",
    "bytes": "[bytes(500 + i % 3000) for i in range(3000)]",
    "int": "[1 << (4500 + i) for i in range(3000)]",
    "__main__.Slots": "[Slots() for i in range(3000)]",
}


@pytest.mark.parametrize("name", MADE)
def test_counts_what_was_made_exactly(name, free_port):
    run(
        f"""
        def make():
            things = {MADE[name]}
            make.least = sum(chunk(sys.getsizeof(thing)) for thing in things)
            return things
        rows = grown(make)
        count, size, _ = rows.pop({name!r})
        assert count == 3000, count
        assert make.least <= size <= make.least + 3000 * 16, (size, make.least)
        assert not [other for other, row in rows.items() if row[0]], rows
        """,
        free_port,
    )


def test_blocks_of_their_own_mapping(free_port):
    run(
        """
        rows = grown(lambda: [bytes(300_000 + i) for i in range(100)])
        count, size, _ = rows["bytes"]
        assert count == 100 and 100 * 300_000 <= size <= 100 * 308_192, rows
        """,
        free_port,
    )


BUFFERS = {
    "list": ("[[None] * 1000 for _ in range(500)]", 8_008),
    "set": ("[set(range(1000)) for _ in range(500)]", 16 * 2048),
    "dict": ("[dict.fromkeys(range(1000)) for _ in range(500)]", 2048 * 2 + 24 * 1365),
}
if sys.version_info < (3, 15):
    BUFFERS["bytearray"] = ("[bytearray(5000) for _ in range(500)]", 5001)


@pytest.mark.parametrize("name", BUFFERS)
def test_buffers_are_their_owners(name, free_port):
    make, least = BUFFERS[name]
    run(
        f"""
        rows = grown(lambda: {make})
        size = rows[{name!r}][2]
        assert 500 * {least} <= size <= 500 * ({least} * 1.1 + 400), rows
        """,
        free_port,
    )


@pytest.mark.skipif(sys.version_info < (3, 15), reason="bytearrays have buffers of their own")
def test_bytearrays_hold_bytes(free_port):
    run(
        """
        rows = grown(lambda: [bytearray(5000) for _ in range(500)])
        count, size, _ = rows["bytes"]
        assert count == 500 and 500 * 5001 <= size <= 500 * 5100, rows
        """,
        free_port,
    )


CLASSES_IN = [
    "[None, Slots] * 100",
    "(None, Slots) * 100",
    "[Slots] * 200",
    "(Slots, Slots) * 100",
    "[i, Slots] * 100",
    "[1, Slots] * 100",
    "(i, i, Slots) * 100",
    "{(i, j): Slots for j in range(30)}",
    "{Slots, *range(200)}",
]


@pytest.mark.parametrize("make", CLASSES_IN)
def test_not_one_instance_where_only_the_class_is(make, free_port):
    run(f"assert '__main__.Slots' not in grown(lambda: [{make} for i in range(3000)])", free_port)


def test_native_memory_is_no_object(free_port):
    run(
        """
        malloc = ctypes.CDLL(None).malloc
        malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        def make():
            for i in range(3000):
                memory = malloc(600 + i)
                ctypes.memset(memory, 0, 600)
                # As a reader of bytes might have them: no object, since its count is none.
                ctypes.c_size_t.from_address(memory + 8).value = id(Slots)
        rows = grown(make)
        assert not [name for name, row in rows.items() if row[0]], rows
        """,
        free_port,
    )


def test_what_is_freed_is_gone(free_port):
    run(
        """
        def make():
            things = [bytes(600 + i % 400) for i in range(5000)] + [(i,) * 99 for i in range(5000)]
            del things[::3]
            return things
        rows = grown(make)
        assert rows["bytes"][0] + rows["tuple"][0] == 10_000 - 3334, rows
        """,
        free_port,
    )


PIN = {
    "bytearray": "bytearray(100_000)",
    "tuple": "(None,) * 10_000",
    "list": "[None] * 10_000",
    "dict": "dict.fromkeys(range(1000))",
}


@pytest.mark.parametrize("name", PIN)
def test_what_pins_the_heap_at_its_top_is_named(name, free_port):
    run(
        f"""
        below = [bytes(2000) for _ in range(30_000)]
        pin = {PIN[name]}
        del below
        sample = _native.compare_census()["sample"]
        # From 3.15 on the buffer of a bytearray is an object of its own.
        name = "bytes" if {name!r} == "bytearray" and sys.version_info >= (3, 15) else {name!r}
        top, (blocks, size) = next(iter(sample["tops"].items()))
        assert top == name and 58_000_000 < size < 66_000_000, sample["tops"]
        assert sample["native_top_bytes"] < 4_000_000, sample
        """,
        free_port,
    )
