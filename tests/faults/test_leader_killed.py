"""kill -9 of the process that serves, again and again, under 50 scrapes a second."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections.abc import Callable

from exposition import Scrape
from fleet import Fleet, serving_pids
from processes import children, wait_until
from scale import count

KILLS = count(25, 1000)
PROCESSES = 24
SCRAPES_A_SECOND = 50

# Far more than a takeover takes, far less than somebody that waits for ever.
PATIENCE_SECONDS = 5.0


# Of each answer; all of it could not be read so often.
ROWS = ("process_pid{", "pymalloc_exporter_serving{")


class Scraper(threading.Thread):
    """Scrapes on a beat of its own; keeps the last answer, and whatever must not be."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(daemon=True)
        self.fleet = fleet
        self.over = threading.Event()
        self.last: Scrape | None = None
        self.answered = self.unanswered = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            start = time.monotonic()
            due = max(due + 1 / SCRAPES_A_SECOND, start)
            try:
                self.check(self.fleet.scrape(*ROWS))
            except TimeoutError:
                self.wrong.append("a scrape that hung")
            except ValueError as error:
                self.wrong.append(str(error))
            except (OSError, http.client.HTTPException):
                self.last = None  # nobody serves at the moment
                self.unanswered += 1
            if time.monotonic() - start > PATIENCE_SECONDS:
                self.wrong.append("a scrape that took too long")

    def check(self, scrape: Scrape) -> None:
        self.answered += 1
        self.last = scrape
        if len(serving_pids(scrape)) > 1:
            self.wrong.append(f"several serve: {serving_pids(scrape)}")
        if len(set(scrape.pids())) != len(scrape.pids()):
            self.wrong.append(f"somebody twice: {scrape.pids()}")


def test_one_leader_and_no_scrape_that_hangs(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    master = group.start("herd.py", str(PROCESSES))
    group.wait_count(PROCESSES + 1)
    scraper = Scraper(group)
    scraper.start()
    started = time.monotonic()

    killed = 0

    def another_leader() -> int:
        serving = serving_pids(scraper.last) if scraper.last else []
        alive = [pid for pid in serving if pid not in (killed, master.pid)]
        return alive[0] if alive else 0

    try:
        for _ in range(KILLS):
            killed = wait_until(another_leader, "another leader", explain=group.log)
            with contextlib.suppress(ProcessLookupError):
                os.kill(killed, signal.SIGKILL)
    finally:
        scraper.over.set()
        scraper.join()
    seconds = time.monotonic() - started
    assert scraper.wrong == []
    scrape = group.wait_scrape(
        lambda scrape: scrape.pids() == sorted([master.pid, *children(master.pid)]),
        "everybody who lives",
    )
    assert len(scrape.pids()) == PROCESSES + 1
    print(
        f"{KILLS} leaders killed in {seconds:.0f} s; {scraper.answered} scrapes answered, "
        f"{scraper.unanswered} refused or cut off, none hung"
    )
