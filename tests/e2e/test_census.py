"""Every worker's census, asked for through whichever process serves."""

from __future__ import annotations

import json
import urllib.error
from collections import Counter
from collections.abc import Callable

import pytest
from gunicorn_service import Service
from processes import wait_until
from running_server import get

LEAKED = "leaky.Leaked"
LEFT_BEHIND = 1000  # by each request
REQUESTS = 40


@pytest.fixture
def leaky(start: Callable[..., Service]) -> Service:
    service = start(
        application="leaky:application",
        workers=3,
        environment={"PYMALLOC_EXPORTER_SLOW_INTERVAL": "0.3"},
    )
    service.wait_serving()
    service.wait_complete()
    return service


def ask(service: Service, worker: int, what: str) -> dict | None:
    """None where there is nothing to answer yet."""
    try:
        return json.loads(get(f"http://{service.address}/api/v1/workers/{worker}/{what}"))
    except urllib.error.HTTPError as error:
        assert error.code == 503
        return None


def of_leaked(rows: list[dict]) -> int:
    return sum(row["objects"] for row in rows if row["type"] == LEAKED)


def test_each_worker_tells_what_it_leaks(leaky: Service) -> None:
    workers = json.loads(get(f"http://{leaky.address}/api/v1/workers"))["workers"]
    slots = {row["worker"]: row["pid"] for row in workers}
    for slot in slots:
        wait_until(lambda slot=slot: ask(leaky, slot, "census"), "a first census")
    # One of them has been asked already, to see whether it serves.
    before = {slot: of_leaked(ask(leaky, slot, "census")["types"]) for slot in slots}
    served = Counter(int(leaky.get()) for _ in range(REQUESTS))
    assert served.keys() <= set(leaky.workers())

    def leaked(slot: int) -> bool:
        census = ask(leaky, slot, "census")
        assert census is None or census["pid"] == slots[slot]
        expected = before[slot] + LEFT_BEHIND * served[slots[slot]]
        return census is not None and of_leaked(census["types"]) == expected

    for slot, pid in slots.items():
        wait_until(lambda slot=slot: leaked(slot), f"what {pid} left behind")
        since = ask(leaky, slot, "diff")["since"]
        grown = of_leaked(since[0]["grown"]) if since else 0
        assert grown <= before[slot] + LEFT_BEHIND * served[pid]
        pins = ask(leaky, slot, "pins")
        assert pins["pid"] == pid
        assert pins["heap_top"]
    busiest = max(served, key=served.__getitem__)
    slot = next(slot for slot, pid in slots.items() if pid == busiest)
    first = ask(leaky, slot, "diff")["since"][0]
    assert of_leaked(first["grown"]) >= LEFT_BEHIND * served[busiest]
    assert leaky.log_lines() == []
