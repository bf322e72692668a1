"""pymalloc_exporter.heap(): what lives, and what has changed since."""

from pymalloc_exporter._heap import Heap
from starting import BOOTSTRAP, PACKAGE, python

# Three snapshots, as in the talk: before, with what is suspected, and without it again.
SESSION = """
import pymalloc_exporter
class Item:
    __slots__ = "value",
    def __init__(self, value): self.value = value
kept = []
heap1 = pymalloc_exporter.heap()
kept.extend([Item(i * 1.5) for i in range(20_000)])
heap2 = pymalloc_exporter.heap()
grown = heap2 - heap1
assert {row.type for row in grown.rows[:2]} == {"__main__.Item", "float"}, grown
assert grown["__main__.Item"].objects == 20_000
assert abs(grown["float"].objects - 20_000) < 200, grown["float"]
kept.clear()
heap3 = pymalloc_exporter.heap()
left = heap3 - heap1
assert left["__main__.Item"].objects == 0, left
assert (heap3 - heap2)["__main__.Item"].objects == -20_000
assert abs(left["float"].objects) < 200, left["float"]
assert "__main__.Item" in str(grown)
"""


def test_three_snapshots(listen):
    # A beat would allocate nothing, but nothing else shall run here.
    done = python(SESSION, BOOTSTRAP, PACKAGE.parent, PYMALLOC_EXPORTER_INTERVAL="3600", **listen)
    assert (done.returncode, done.stderr) == (0, "")


def test_says_why_there_is_none():
    code = """
import pymalloc_exporter
try:
    pymalloc_exporter.heap()
except RuntimeError as error:
    print(error)
"""
    done = python(code, PACKAGE.parent)
    assert (done.stdout, done.stderr) == ("no census: starting\n", "")


def test_table():
    heap = Heap({"str": (10, 700), "dict": (5, 300), "gone": (0, 0)})
    assert str(heap).splitlines() == [
        "Partition of 15 objects. Total size = 1000 bytes.",
        " Index    Count   %      Size   % Cumulative  % Type",
        "     0       10  67       700  70        700 70 str",
        "     1        5  33       300  30       1000 100 dict",
    ]


def test_difference():
    before = Heap({"str": (10, 700), "dict": (5, 300), "set": (1, 100)})
    after = Heap({"str": (12, 800), "dict": (5, 300), "list": (3, 200)})
    assert [tuple(row) for row in (after - before).rows] == [
        ("list", 3, 200),
        ("str", 2, 100),
        ("set", -1, -100),
    ]
