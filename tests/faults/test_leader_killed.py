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
# On a busy machine a scrape takes longer than a beat: so many may be on their way at once.
SCRAPERS = 5

# Far more than a takeover takes, far less than somebody that waits for ever.
PATIENCE_SECONDS = 5.0


# From the signal until the last of its connections is gone.
KILL_SECONDS = 0.5

# Of each answer; all of it could not be read so often.
ROWS = ("process_pid{", "pymalloc_exporter_serving{")


class Scraper(threading.Thread):
    """Scrapes on a beat of its own; keeps whom the last answer named, and whatever must not be."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(daemon=True)
        self.fleet = fleet
        self.over = threading.Event()
        self.serving: tuple[float, list[int]] = (0, [])  # and when it was asked
        self.answered = self.refused = 0
        self.cut_off: list[tuple[float, float]] = []  # from when to when
        self.wrong: list[str] = []

    def run(self) -> None:
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            start = time.monotonic()
            due += SCRAPERS / SCRAPES_A_SECOND
            try:
                self.check(self.fleet.scrape(*ROWS), start)
            except TimeoutError:
                self.wrong.append("a scrape that hung")
            except ValueError as error:
                self.wrong.append(str(error))
            except (OSError, http.client.HTTPException) as error:
                nobody = isinstance(getattr(error, "reason", error), ConnectionRefusedError)
                self.refused += nobody
                if not nobody:
                    self.cut_off.append((start, time.monotonic()))
            if time.monotonic() - start > PATIENCE_SECONDS:
                self.wrong.append("a scrape that took too long")

    def check(self, scrape: Scrape, start: float) -> None:
        self.answered += 1
        serving = serving_pids(scrape)
        self.serving = (start, serving)
        if len(serving) > 1:
            self.wrong.append(f"several serve: {serving}")
        if len(set(scrape.pids())) != len(scrape.pids()):
            self.wrong.append(f"somebody twice: {scrape.pids()}")


def test_one_leader_and_no_scrape_that_hangs(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    master = group.start("herd.py", str(PROCESSES))
    group.wait_count(PROCESSES + 1)
    scrapers = [Scraper(group) for _ in range(SCRAPERS)]
    started = time.monotonic()
    kills = [started]

    def another_leader() -> int:
        answers = [one.serving for one in scrapers]
        serving = {pid for start, pids in answers if start > kills[-1] for pid in pids}
        return max(serving - {master.pid}, default=0)

    try:
        for number, scraper in enumerate(scrapers):
            scraper.start()
            time.sleep(number and 1 / SCRAPES_A_SECOND)
        for _ in range(KILLS):
            leader = wait_until(another_leader, "another leader", explain=group.log)
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader, signal.SIGKILL)
            kills.append(time.monotonic())
    finally:
        for scraper in scrapers:
            scraper.over.set()
        for scraper in scrapers:
            scraper.join()
    seconds = time.monotonic() - started
    assert [one for scraper in scrapers for one in scraper.wrong] == []
    scrape = group.wait_scrape(
        lambda scrape: scrape.pids() == sorted([master.pid, *children(master.pid)]),
        "everybody who lives",
    )
    assert len(scrape.pids()) == PROCESSES + 1
    answered, refused = (
        sum(getattr(one, name) for one in scrapers) for name in ("answered", "refused")
    )
    cut_off = [times for one in scrapers for times in one.cut_off]
    # By whoever was killed: whoever lives answers.
    by_the_living = [
        (start, end)
        for start, end in cut_off
        if not any(start - KILL_SECONDS < kill < end + KILL_SECONDS for kill in kills)
    ]
    assert by_the_living == []
    print(
        f"{KILLS} leaders killed in {seconds:.0f} s; {answered} scrapes answered, "
        f"{refused} refused, {len(cut_off)} cut off, none hung"
    )
