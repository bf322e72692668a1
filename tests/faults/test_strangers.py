"""Another user at the rendezvous: squats the name, hands over rubbish, knocks without end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from fleet import SLEEPER, Fleet
from processes import wait_until
from scale import count

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

STRANGERS = "4242"
SECONDS = count(5, 120)


def stranger(group: Fleet, program: str, as_user: str = STRANGERS, manner: str = "") -> None:
    more = [manner] if manner else []
    group.start(program, str(group.port), str(os.getuid()), as_user, *more, exporter=False)


@pytest.mark.parametrize(
    ("as_user", "manner"),
    [(STRANGERS, "false region"), ("0", "false region"), ("0", "wrong size"), ("0", "hangs up")],
)
def test_a_false_leader_is_not_followed(
    fleet: Callable[..., Fleet], as_user: str, manner: str
) -> None:
    group = fleet()
    stranger(group, "squatter.py", as_user, manner)
    wait_until(lambda: "squatting" in group.log(), "the squatter", explain=group.log)
    process = group.start(SLEEPER)
    group.wait_for([process.pid])
    reason = "refused" if as_user == "0" else "name_taken"
    wait_until(lambda: len(group.lines()) == 1, "one line", explain=group.log)
    assert reason in group.lines()[0]
    info = group.scrape().select("pymalloc_exporter_collector_info", collector="region")
    assert [row.labels["reason"] for row in info] == [reason]
    time.sleep(SECONDS / 2)
    assert process.poll() is None and len(group.lines()) == 1


def exporter_cpu(group: Fleet) -> float:
    return max(group.scrape().by_worker("pymalloc_exporter_cpu_seconds_total").values())


def test_a_loop_of_connections_is_kept_short(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    leader = group.start(SLEEPER)
    group.wait_for([leader.pid])
    member = group.start(SLEEPER)
    group.wait_for([leader.pid, member.pid])
    stranger(group, "knocker.py")
    wait_until(lambda: "knocking" in group.log(), "the loop", explain=group.log)
    before, start = exporter_cpu(group), time.monotonic()
    time.sleep(SECONDS)
    share = (exporter_cpu(group) - before) / (time.monotonic() - start)
    print(f"{share:.1%} of a core for a loop of connections")
    assert share < 0.25
    # Members stay, and another one gets in.
    newcomer = group.start(SLEEPER)
    group.wait_for([leader.pid, member.pid, newcomer.pid], timeout=60)
    assert group.lines() == []
