"""How many series that makes: a worker, a host, a fleet. Computed from a golden scrape and the
recording rules, so that the table in grafana/README.md is never out of date."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/e2e/golden/3.13.txt"
RECORDING = ROOT / "grafana/rules/recording.yml"

WORKERS_PER_HOST = 32
FLEET_WORKERS = 10_000
# Series of an endpoint that come and go with the machine, and so are not in the golden scrape:
# its control group's, and the requests to it.
ENDPOINT_VARYING = 9
# The same of a worker: its allocator, and huge pages.
WORKER_VARYING = 2
# Rows that need --detail full; of the free lists these are `other` and `tuple` without it.
FULL = re.compile(
    r"pymalloc_class_|python_freelist_capacity_|malloc_free_bytes_by_size|_verdict_ratio"
    r'|,length="|type="(async_|MemoryError|object stack|slice)'
)
LESS_DETAIL_SERIES = 2 * 2
# The census's rows are of types, which differ: the ten largest, other and free lists in two
# metrics, and the untyped as well in the third; two (or five), other and native code at the top
# of the heap.
CENSUS = re.compile(r"python_live_object|python_pinned_bytes|python_heap_top_pin_bytes")
CENSUS_SERIES = 2 * 12 + 13 + 4
CENSUS_SERIES_MORE = 3  # at full detail
BYTES_PER_SAMPLE = 1.5
SCRAPES_PER_DAY = 86_400 // 15


def _golden() -> list[str]:
    return [line.rsplit(" ", 1)[0] for line in GOLDEN.read_text().splitlines()]


def series_of_worker(full: bool) -> int:
    """A process has one role at a time; the golden scrape holds both."""
    own = [one for one in _golden() if 'worker="N"' in one and "process_role" not in one]
    fixed = [one for one in own if not CENSUS.match(one) and (full or not FULL.search(one))]
    more = CENSUS_SERIES_MORE if full else LESS_DETAIL_SERIES
    return 1 + WORKER_VARYING + CENSUS_SERIES + more + len(fixed)


def series_of_endpoint() -> int:
    return ENDPOINT_VARYING + len([one for one in _golden() if 'worker="N"' not in one])


def recorded_of_host() -> int:
    """One app a host."""
    groups = yaml.safe_load(RECORDING.read_text())["groups"]
    return sum(len(group["rules"]) for group in groups)


def _row(title: str, series: int) -> str:
    stored = series * SCRAPES_PER_DAY * BYTES_PER_SAMPLE / (1 << 20)
    size = f"{stored:.1f} MiB" if stored < 1024 else f"{stored / 1024:.1f} GiB"
    return f"| {title} | {series:,} | {size} |"


def table() -> str:
    hosts = -(-FLEET_WORKERS // WORKERS_PER_HOST)
    processes = FLEET_WORKERS + hosts
    rows = [
        "| what | series | stored a day, scraped each 15 s |",
        "| --- | --- | --- |",
    ]
    for detail, full in (("", False), (", full detail", True)):
        worker = series_of_worker(full)
        host = (WORKERS_PER_HOST + 1) * worker + series_of_endpoint()
        fleet = processes * worker + hosts * series_of_endpoint()
        rows.append(_row(f"a worker{detail}", worker))
        rows.append(_row(f"a host: {WORKERS_PER_HOST} workers and their master{detail}", host))
        rows.append(_row(f"{FLEET_WORKERS:,} workers on {hosts} hosts{detail}", fleet))
    rows.append(_row("a host, what is sent on", recorded_of_host() + 1))
    rows.append(_row(f"{hosts} hosts, what is sent on", hosts * (recorded_of_host() + 1)))
    return "\n".join(rows)
