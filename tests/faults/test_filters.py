"""Each system call that filters like to forbid, refused and killed for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet import Fleet
from processes import wait_until
from scale import LONG

# Numbers on x86-64. fcntl only with F_ADD_SEALS and F_GET_SEALS, ioctl only with PAGEMAP_SCAN:
# the program itself wants the rest.
CALLS = {
    "close_range": ["436"],
    "unshare": ["272"],
    "memfd_create": ["319"],
    "seals": ["72/1=1033", "72/1=1034"],
    "fallocate": ["285"],
    "signalfd4": ["289"],
    "pidfd_open": ["434"],
    "pidfd_getfd": ["438"],
    "mincore": ["27"],
    "get_robust_list": ["274"],
    "pagemap_scan": [f"16/1={0xC0606610}"],
}
ALL = sorted({call for calls in CALLS.values() for call in calls})

# With these there is no endpoint to be shared, but one process serves itself.
ALONE = {"memfd_create", "seals", "fallocate"}

# Forks, gets a signal, waits, and says what it saw.
PROGRAM = """
import os, signal, time
seen = []
signal.signal(signal.SIGCHLD, lambda *_: seen.append("SIGCHLD"))
time.sleep(0.3)
print("children of ours:", seen, flush=True)
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
print("forked", flush=True)
while True:
    time.sleep(0.1)
"""


def under(filtered: Path, verdict: str, calls: list[str]) -> list[str]:
    return [str(filtered), verdict, *calls, "--"]


@pytest.mark.parametrize("verdict", ["refuse", "kill"])
@pytest.mark.parametrize("call", CALLS if LONG else ["close_range", "memfd_create", "signalfd4"])
def test_application_runs_and_its_figures_are_there(
    fleet: Callable[..., Fleet], compiled: Callable[[str], Path], verdict: str, call: str
) -> None:
    group = fleet(slow_interval=0.2)
    around = under(compiled("filtered"), verdict, CALLS[call])
    process = group.start(PROGRAM, around=around)
    scrape = group.wait_for([process.pid])
    assert scrape.by_worker("pymalloc_exporter_serving") == {"0": 1}
    wait_until(lambda: "forked" in group.log(), "its end", explain=group.log)
    assert "children of ours: []" in group.log()
    group.wait_for([process.pid])
    reasons = {
        row.labels["reason"]
        for row in group.scrape().select("pymalloc_exporter_collector_info", collector="region")
    }
    assert reasons == ({"private"} if call in ALONE else set())
    assert len(group.lines()) <= 1
    assert process.poll() is None


@pytest.mark.parametrize("verdict", ["refuse", "kill"])
def test_all_at_once_it_is_off_and_says_so(
    fleet: Callable[..., Fleet], compiled: Callable[[str], Path], verdict: str
) -> None:
    group = fleet()
    process = group.start(PROGRAM, around=under(compiled("filtered"), verdict, ALL))
    wait_until(lambda: "forked" in group.log(), "its end", explain=group.log)
    assert "children of ours: []" in group.log()
    (line,) = set(group.lines())
    assert line.endswith("are refused here: off")
    assert process.poll() is None
    assert group.try_scrape() is None


def test_the_filter_does_kill(compiled: Callable[[str], Path]) -> None:
    """Else the tests above would prove nothing."""
    code = "import os; os.memfd_create('x')"
    around = under(compiled("filtered"), "kill", CALLS["memfd_create"])
    assert subprocess.run([*around, "/usr/bin/python3", "-c", code]).returncode == -31
