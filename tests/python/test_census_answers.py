"""What the kept censuses answer: what lives, what there is more of, what pins memory."""

from __future__ import annotations

import contextlib
import http.client
import os
import time

import pytest
from asking import ask
from running import Program

# Makes and drops at a line's word, and says when it is done.
MAKER = """
import os, random, sys
class Item: __slots__ = ("a", "b")
class Pin: __slots__ = ("a", "b")
kept, children = [], []
def make(): kept.extend(Item() for _ in range(20_000))
def drop(): kept.clear()
def pin():
    all_of_them = [Pin() for _ in range(400_000)]
    kept.extend(random.Random(7).sample(all_of_them, 4_000))
def work(): sum(range(100_000))
def fork():
    children.append(os.fork())
    if not children[-1]:
        while True: work()
for line in sys.stdin:
    globals()[line.strip()]()
    print(os.getpid(), *children, flush=True)
for child in children: os.kill(child, 9)
"""


class Maker(Program):
    def __init__(self, port: int) -> None:
        slow = {"SLOW_INTERVAL": "0.1", "SLOW_CPU": "100"}
        super().__init__(
            MAKER, port, **{f"PYMALLOC_EXPORTER_{name}": value for name, value in slow.items()}
        )

    def do(self, what: str) -> list[int]:
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return [int(pid) for pid in self.process.stdout.readline().split()]

    def ask(self, what: str, worker: int = 0) -> dict:
        """The answer, once there is a census of after now."""
        now = time.time()
        end = time.monotonic() + 15
        while time.monotonic() < end:
            self.do("work")  # the heap of who does nothing is not looked at again
            status, answer = ask(self.port, f"/api/v1/workers/{worker}/{what}")
            if status == 200 and answer["timestamp_seconds"] > now + 0.1:
                return answer
            time.sleep(0.05)
        raise TimeoutError(str(answer))


@pytest.fixture
def maker(free_port):
    with Maker(free_port) as program:
        program.scrape()
        yield program


def row(rows: list[dict], name: str) -> dict:
    return next((one for one in rows if one["type"] == f"__main__.{name}"), {})


def test_counts_what_lives(maker):
    assert not row(maker.ask("census")["types"], "Item")
    maker.do("make")
    census = maker.ask("census")
    assert row(census["types"], "Item") == {
        "type": "__main__.Item",
        "objects": 20_000,
        "bytes": row(census["types"], "Item")["bytes"],
    }
    assert census["pid"] == maker.process.pid
    sizes = [one["bytes"] for one in census["types"]]
    assert sizes == sorted(sizes, reverse=True)
    for total in ("objects", "bytes"):
        shown = sum(one[total] for one in census["types"])
        assert shown + census["other"][total] == census[total]


def test_tells_what_there_is_more_of(maker):
    start = maker.ask("diff")["since"]
    maker.do("make")
    diff = maker.ask("diff")
    first = diff["since"][0]
    if start:
        assert first["timestamp_seconds"] == start[0]["timestamp_seconds"]
    assert row(first["grown"], "Item")["objects"] == 20_000
    assert first["grown"][0]["bytes"] >= row(first["grown"], "Item")["bytes"] > 0
    end = time.monotonic() + 15
    while len(diff["since"]) < 4 or row(diff["since"][-1]["grown"], "Item"):
        assert time.monotonic() < end
        diff = maker.ask("diff")
    times = [one["timestamp_seconds"] for one in diff["since"]] + [diff["timestamp_seconds"]]
    assert times == sorted(times)
    assert len(times) == 5
    assert row(diff["since"][0]["grown"], "Item")["objects"] == 20_000
    maker.do("drop")
    diff = maker.ask("diff")
    assert not row(diff["since"][0]["grown"], "Item")
    # Seen by those of before and not by the newest.
    assert row(diff["since"][-1]["shrunk"], "Item").get("objects", -20_000) == -20_000


def test_names_what_pins(maker):
    maker.do("pin")
    pins = maker.ask("pins")
    assert pins["types"][0]["type"] == "__main__.Pin"
    shown = sum(one["pinned_bytes"] for one in pins["types"])
    rest = ("other_pinned_bytes", "free_list_pinned_bytes", "untyped_pinned_bytes")
    assert shown + sum(pins[name] for name in rest) == pins["sparse_free_bytes"]
    assert pins["types"][0]["pinned_bytes"] > 0.9 * pins["sparse_free_bytes"] > 1 << 20
    assert pins["types"][0]["alone_bytes"] > 1 << 20
    assert 0 < len(pins["heap_top"]) <= 64
    assert all(one["bytes"] >= 32 for one in pins["heap_top"])


def since_of_child(maker: Maker, child: int) -> dict:
    """Its differences, once there are two censuses of it."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        # Who serves hands the port on when it forks.
        with contextlib.suppress(OSError, http.client.HTTPException):
            workers = ask(maker.port, "/api/v1/workers")[1]["workers"]
            numbers = {one["pid"]: one["worker"] for one in workers}
            path = f"/api/v1/workers/{numbers.get(child, 510)}/diff"
            answer = ask(maker.port, path)[1]
            if answer.get("since"):
                return answer
        time.sleep(0.05)
    raise TimeoutError("no differences")


def test_a_child_has_a_start_of_its_own(maker):
    maker.do("make")
    before = maker.ask("diff")
    maker.do("drop")
    child = maker.do("fork")[1]
    try:
        answer = since_of_child(maker, child)
        assert answer["pid"] == child
        assert answer["since"][0]["timestamp_seconds"] > before["timestamp_seconds"]
        assert not row(answer["since"][0]["shrunk"], "Item")
    finally:
        os.kill(child, 9)


def test_says_why_there_is_none(free_port):
    with Program("input()", free_port, PYTHONMALLOC="malloc") as program:
        assert program.reason_once_tried("census") == "allocator_malloc"
        for what in ("census", "diff", "pins"):
            status, answer = ask(free_port, f"/api/v1/workers/0/{what}")
            assert (status, answer) == (503, {"error": "no census: allocator_malloc"})
