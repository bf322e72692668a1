"""A small web service that grows: it leaks, fragments, frees and clears its memory on request.

    GET /leak      keeps some thousand records more
    GET /fragment  makes many small records, then drops 99 of 100 at random
    GET /free      drops half of what is kept
    GET /clear     drops all of it

Everything happens in the worker that answers; what a worker keeps is bounded.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable

LEAKED_RECORDS = 10_000
FRAGMENTING_RECORDS = 50_000
MOST_RECORDS = 400_000  # some 60 MiB

Record = tuple[int, str]

kept: list[Record] = []


def make_records(count: int) -> list[Record]:
    return [(number, f"record {number}") for number in range(1_000_000, 1_000_000 + count)]


def grow(count: int) -> None:
    kept.extend(make_records(min(count, MOST_RECORDS - len(kept))))


def leak() -> None:
    grow(LEAKED_RECORDS)


def fragment() -> None:
    grow(FRAGMENTING_RECORDS)
    kept[:] = random.sample(kept, len(kept) // 100)


def free() -> None:
    random.shuffle(kept)
    del kept[len(kept) // 2 :]


ACTIONS: dict[str, Callable[[], None]] = {
    "/": lambda: None,
    "/leak": leak,
    "/fragment": fragment,
    "/free": free,
    "/clear": kept.clear,
}


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    action = ACTIONS.get(environ["PATH_INFO"])
    if action is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not found\n"]
    action()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid(), "records": len(kept)}).encode() + b"\n"]
