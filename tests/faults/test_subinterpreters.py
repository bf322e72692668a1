"""Sub-interpreters that come and go while the process is sampled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fleet import Fleet
from interpreters import INTERPRETERS, MAIN
from processes import wait_until
from scale import LONG, count

MADE = count(20, 1000)
VERSIONS = list(INTERPRETERS) if LONG else [MAIN]


@pytest.mark.parametrize("version", VERSIONS)
def test_no_crash_and_samples_go_on(fleet: Callable[..., Fleet], version: str) -> None:
    group = fleet(python=INTERPRETERS[version], interval=0.001, slow_interval=0.001)
    process = group.start("interpreters.py", str(MADE))

    def over() -> bool:
        assert process.poll() is None, group.log()
        return "over" in group.log()

    wait_until(over, "the last of them", timeout=600, explain=group.log)
    scrape = group.wait_for([process.pid])
    (up,) = scrape.by_worker("pymalloc_exporter_collector_up", collector="pymalloc").values()
    assert up == 1
    assert group.lines() == []
