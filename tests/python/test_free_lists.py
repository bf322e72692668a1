"""Our counts of the free lists equal the interpreter's own, and follow what is dropped.

Each state is built in a process of its own. What sys._debugmallocstats() prints is read in
one C call with ours; the kinds that it leaves out are proved by making and dropping objects.
"""

import sys

import pytest
from starting import BOOTSTRAP, PACKAGE, python

# Rows of the oracle: "47 free PyListObjects * 40 bytes each = 1,880". The size is without
# the gc header (cpython#148189, right in 3.15), and of dict keys without what follows theirs.
COMPARE = """
import re, sys
from pymalloc_exporter import _native

NAMES = {"Dict": "dict", "Float": "float", "Frame": "frame", "List": "list",
         "DictKeys": "dict keys"}
WITHOUT_GC = {"float", "dict keys"}

def compare():
    both = _native.compare_free_lists()
    rows = {}
    for count, length, name, size in re.findall(
            r"(\\d+) free (?:(\\d+)-sized )?Py(\\w+)Objects? \\* (\\d+) bytes", both["oracle"]):
        rows[name, int(length or 0)] = int(count), int(size)
    assert ("Tuple", 5) in rows and ("List", 0) in rows, both["oracle"]
    for (name, length), (count, size) in rows.items():
        row = both["tuples"][length - 1] if name == "Tuple" else both["ours"][NAMES[name]]
        assert row["objects"] == count, (name, length, row, count)
        header = 0 if NAMES.get(name) in WITHOUT_GC else 16
        right = {count * (size + header), count * size} if header else {row["bytes"]}
        assert row["bytes"] in right, (name, length, row, count, size)
    assert sum(row["objects"] for row in both["tuples"]) == both["ours"]["tuple"]["objects"]
    assert sum(row["bytes"] for row in both["tuples"]) == both["ours"]["tuple"]["bytes"]
"""

STATES = {
    "fresh interpreter": "",
    "everything dropped": """
kept = [(i * 0.5, [i], {i: i}, (i,) * (i % 25)) for i in range(20_000)]
compare()
del kept
""",
    "drained": """
kept = [(i * 0.5, [i], {i: i}, (i,) * (i % 25)) for i in range(20_000)]
""",
    "collected": """
import gc
kept = [(i * 0.5, [i], {i: i}, (i,) * (i % 25)) for i in range(20_000)]
del kept
gc.collect()
""",
    "deep recursion": """
def down(n):
    return n and down(n - 1) + 1
down(900)
""",
}


def run(code, **variables):
    return python(
        COMPARE + code,
        BOOTSTRAP,
        PACKAGE.parent,
        PYMALLOC_EXPORTER_LISTEN="127.0.0.1:9519",
        **variables,
    )


@pytest.mark.parametrize("malloc", ["pymalloc", "debug", "malloc"])
@pytest.mark.parametrize("state", STATES)
def test_equal_the_oracle(state, malloc):
    done = run(STATES[state] + "compare()\ncompare()\n", PYTHONMALLOC=malloc)
    assert (done.returncode, done.stderr) == (0, "")


# What makes an object of the kind.
KINDS = {
    "slice": "slice(1, i)",
    "Context": "contextvars.Context()",
    "MemoryError": "MemoryError()",
    "dict keys": "{'key': i}",
    "async_generator_asend": "asend()",
    "complex": "complex(i, 1)",
    "range": "range(i, 10 ** 6)",
    "range_iterator": "iter(range(i))",
    "list_iterator": "iter([i])",
    "tuple_iterator": "iter((i, i))",
    "method": "Bound().method",
    "builtin_function_or_method": "[].append",
    "FutureIter": "iter(future)",
}

DROP = """
import asyncio, contextvars, warnings
from pymalloc_exporter import _native
warnings.simplefilter("ignore")

class Bound:
    def method(self): pass
async def generator():
    yield 1
def asend():
    return generator().__anext__()
if kind == "FutureIter":
    loop = asyncio.new_event_loop()
    future = loop.create_future()

def figure():
    return _native.compare_free_lists()["ours"].get(kind)

first = figure()
if first is None:
    print("none")
    raise SystemExit
drain = [make(i) for i in range(2 * first["capacity"] + 2)]
before = figure()["objects"]  # no loop: its end would drop an iterator
before = figure()["objects"]
before = figure()["objects"]
dropped = max(1, min(first["capacity"] // 4, len(drain)))
del drain[:dropped]
after = figure()
size = after["bytes"] / after["objects"]
print(after["objects"] - before, dropped, size)
"""


# The minor version that brought the list, where that is not the first.
ADDED = {
    "complex": 15,
    **dict.fromkeys(("range", "range_iterator", "list_iterator", "tuple_iterator"), 14),
    **dict.fromkeys(("method", "builtin_function_or_method", "FutureIter"), 14),
}


@pytest.mark.parametrize("kind", KINDS)
def test_follows_what_is_dropped(kind):
    code = f"kind = {kind!r}\nmake = lambda i: {KINDS[kind]}\n" + DROP
    done = run(code, PYMALLOC_EXPORTER_INTERVAL="3600")
    assert (done.returncode, done.stderr) == (0, "")
    if sys.version_info[1] < ADDED.get(kind, 9):
        assert done.stdout.split() == ["none"]
        return
    risen, dropped, size = map(float, done.stdout.split())
    assert risen == dropped
    assert size >= 24


def test_a_value_of_an_asynchronous_generator_comes_back():
    done = run("""
async def generator():
    yield 1
def step():
    try:
        generator().__anext__().send(None)
    except StopIteration as stop:
        return stop.value
def objects():
    return _native.compare_free_lists()["ours"]["async_generator_wrapped_value"]["objects"]
before = objects()
assert step() == 1
first = objects()
step()
assert first == max(before, 1) and objects() == first, (before, first, objects())
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_sizes_are_those_of_the_types():
    done = run("""
import contextvars, warnings
warnings.simplefilter("ignore")
async def generator():
    yield 1
ours = _native.compare_free_lists()["ours"]
types = {"Context": contextvars.Context, "MemoryError": MemoryError, "slice": slice,
         "async_generator_asend": type(generator().__anext__())}
kept = [[make() for _ in range(3)] for make in (contextvars.Context, MemoryError)]
kept.append(slice(1, [2]))
kept.append([generator().__anext__() for _ in range(3)])
del kept
ours = _native.compare_free_lists()["ours"]
for name, type_ in types.items():
    row = ours[name]
    assert row["objects"] > 0 and row["bytes"] == row["objects"] * (type_.__basicsize__ + 16), (
        name, row, type_.__basicsize__)
keys = ours["dict keys"]
assert keys["bytes"] == keys["objects"] * (sys.getsizeof({"a": 1}) - sys.getsizeof({})), keys
""")
    assert (done.returncode, done.stderr) == (0, "")
