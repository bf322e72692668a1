"""A healthy service under load is called healthy. HEALTHY_SECONDS (15) is how long."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from gunicorn_service import Service

SECONDS = float(os.environ.get("HEALTHY_SECONDS", "15"))
# Beats as fast as they go, so that a short run has looks enough for every verdict.
FAST = {"PYMALLOC_EXPORTER_SLOW_INTERVAL": "0.2", "PYMALLOC_EXPORTER_SLOW_CPU": "30"}


def test_no_false_alarm_under_load(start: Callable[..., Service]) -> None:
    service = start(application="busy:application", workers=2, environment=FAST)
    service.wait_complete()
    judged = set()
    looks = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for _ in range(30):
            service.get()
        scrape = service.scrape()
        looks += 1
        for row in scrape.select("python_memory_verdict"):
            healthy = row.labels["verdict"] == "healthy"
            assert row.value == healthy, (row, scrape.select("python_memory_bytes"))
            judged.add(row.labels["worker"])
    print(f"{looks} looks amid {30 * looks} requests")
    assert len(judged) == 3
    resident = scrape.by_worker("process_resident_memory_bytes")
    assert sorted(resident.values())[1] > 80_000_000  # no verdict is for small heaps
