"""What can be asked of any worker, whoever serves, and what becomes of questions that find none."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from asking import ask
from running import Program

# A parent and two children; each does what a line says, or a little work every now and then.
FAMILY = """
import os, select, sys, time

def live():
    while not select.select([0], [], [], 0.05)[0]:
        kept = [bytes(300) for _ in range(1000)]

children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        {in_child}
        while True:
            time.sleep(0.05)
            kept = [bytes(300) for _ in range(1000)]
            {busy}
    children.append(child)
print(*children, flush=True)
live()
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
"""


class Family(Program):
    """Knows its workers by their pids, once all three are there."""

    def __init__(self, port: int, in_child: str = "pass", busy: str = "pass", **variables: str):
        super().__init__(FAMILY.format(in_child=in_child, busy=busy), port, **variables)
        self.children = list(map(int, self.process.stdout.readline().split()))
        end = time.monotonic() + 15
        while len(self.workers()) < 3:
            assert time.monotonic() < end
            time.sleep(0.05)

    def workers(self) -> dict[int, dict]:
        try:
            status, found = ask(self.port, "/api/v1/workers")
        except (OSError, http.client.HTTPException):
            return {}
        assert status == 200
        return {row["pid"]: row for row in found["workers"]}

    def ask(self, pid: int, what: str, **rest: str) -> tuple[int, dict]:
        return ask(self.port, f"/api/v1/workers/{self.workers()[pid]['worker']}/{what}", **rest)

    def __exit__(self, *_: object) -> None:
        for child in self.children:
            os.kill(child, signal.SIGKILL)
        super().__exit__()


@pytest.fixture
def family(free_port):
    with Family(free_port) as found:
        yield found


def resident(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        kilobytes = next(line for line in status if line.startswith("VmRSS:")).split()[1]
    return int(kilobytes) * 1024


def test_each_process_answers_for_itself(family):
    pids = [family.process.pid, *family.children]
    assert sorted(family.workers()) == sorted(pids)
    assert sum(row["serving"] for row in family.workers().values()) == 1
    for pid in pids:
        status, sample = family.ask(pid, "sample")
        assert (status, sample["pid"]) == (200, pid)
        assert abs(sample["timestamp_seconds"] - time.time()) < 5
        assert abs(sample["process"]["resident_bytes"] - resident(pid)) < 4 << 20
        rows = sample["pymalloc"]
        parts = ("live", "free_block", "free_pool", "uncarved", "overhead")
        sum_of_parts = sum(rows[f"{part}_bytes"] for part in parts)
        assert sum_of_parts == rows["arenas"] * rows["arena_size_bytes"] > 0


def test_nobody_has_that_number(family):
    assert ask(family.port, "/api/v1/workers/500/sample")[0] == 404
    for path in ("511/sample", "-1/sample", "0/sample/", "0/nothing", "0"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{family.port}/api/v1/workers/{path}")
        assert refused.value.code == 404


def member_of(family: Family) -> int:
    """One that does not serve."""
    return next(pid for pid in family.children if not family.workers()[pid]["serving"])


def test_a_stopped_worker_holds_nobody(family):
    member = member_of(family)
    os.kill(member, signal.SIGSTOP)
    try:
        answers = []
        asking = [
            threading.Thread(target=lambda: answers.append(family.ask(member, "sample")[0]))
            for _ in range(4)
        ]
        for thread in asking:
            thread.start()
        for _ in range(5):
            assert family.scrape()
            assert len(family.workers()) == 3
        for thread in asking:
            thread.join()
        assert sorted(set(answers)) == [503, 504]
    finally:
        os.kill(member, signal.SIGCONT)
    end = time.monotonic() + 10
    while family.ask(member, "sample")[0] != 200:
        assert time.monotonic() < end
    assert family.ask(member, "sample")[1]["pid"] == member


def test_a_worker_that_is_killed_meanwhile(family):
    member = member_of(family)
    worker = family.workers()[member]["worker"]
    os.kill(member, signal.SIGSTOP)
    answers = []
    path = f"/api/v1/workers/{worker}/sample"
    asking = threading.Thread(target=lambda: answers.append(ask(family.port, path)[0]))
    asking.start()
    time.sleep(0.3)
    os.kill(member, signal.SIGKILL)
    asking.join()
    assert answers == [503]
    end = time.monotonic() + 10
    while ask(family.port, path)[0] != 404:
        assert time.monotonic() < end


def test_questions_amid_forks(free_port):
    busy = "child = os.fork() or os._exit(0); os.waitpid(child, 0)"
    with Family(free_port, busy=busy, PYTHONWARNINGS="ignore") as family:
        right = 0
        seen = set()
        end = time.monotonic() + 15
        while right < 30 and time.monotonic() < end:
            for pid in family.children:
                try:
                    status, sample = family.ask(pid, "sample")
                except (OSError, http.client.HTTPException, KeyError):
                    continue  # the one that served forked just then
                seen.add(status)
                if status == 200:
                    assert sample["pid"] == pid
                    right += 1
        assert right >= 30
        assert seen <= {200, 503}


@pytest.mark.parametrize("milliseconds", [5, 22, 40])
def test_processes_that_fork_all_the_time_are_sampled(free_port, milliseconds):
    busy = f"""
            while True:
                time.sleep({milliseconds} / 1000)
                child = os.fork() or os._exit(0)
                os.waitpid(child, 0)
"""
    with Family(free_port, busy=busy, PYTHONWARNINGS="ignore") as family:

        def sampled_at() -> list[float]:
            return [
                float(value)
                for name, value in family.scrape().items()
                if name.startswith("pymalloc_exporter_sample_timestamp_seconds")
            ]

        begin = time.time()
        end = begin + 10
        while len(times := sampled_at()) < 3 or min(times) < begin + 1:
            assert time.time() < end
            time.sleep(0.1)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_worker_that_became_another_user(free_port):
    with Family(free_port, in_child="os.setgid(4242); os.setuid(4242)") as family:
        for pid in family.children:
            status, sample = family.ask(pid, "sample")
            assert (status, sample["pid"]) == (200, pid)


def may_unshare() -> bool:
    tried = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(not may_unshare(), reason="may not make a namespace of pids")
def test_a_worker_in_another_namespace_of_pids(family):
    code = "import time\nwhile True: time.sleep(.05); [bytes(300) for _ in range(1000)]"
    command = ["unshare", "--pid", "--fork", "--kill-child", os.sys.executable, "-c", code]
    with Program("", family.port, command):
        end = time.monotonic() + 15
        while 1 not in family.workers():
            assert time.monotonic() < end
            time.sleep(0.05)
        status, sample = family.ask(1, "sample")
        assert (status, sample["pid"]) == (200, 1)
