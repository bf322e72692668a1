"""One scrape shows every process of a gunicorn, with figures that are true."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator

import processes
import pytest
from exposition import Scrape
from gunicorn_service import Service
from interpreters import INTERPRETERS, MAIN
from processes import wait_until

VARIANTS = {
    "sync": (),
    "sync, preload": ("--preload",),
    "gthread": ("--worker-class=gthread", "--threads=3"),
    "gthread, preload": ("--worker-class=gthread", "--threads=3", "--preload"),
}
# All of them on one version, two of them on each other.
EVERYWHERE = ("sync", "gthread, preload")
CASES = [
    pytest.param((version, variant), id=f"{version}, {variant}")
    for version in INTERPRETERS
    for variant in VARIANTS
    if version == MAIN or variant in EVERYWHERE
]


class Seen:
    """A service at rest, and a scrape of it."""

    def __init__(self, version: str, service: Service) -> None:
        self.version = version
        self.service = service
        self.scrape: Scrape = service.wait_complete()


@pytest.fixture(scope="module", params=CASES)
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seen]:
    version, variant = request.param
    folder = tmp_path_factory.mktemp("gunicorn")
    service = Service(INTERPRETERS[version], folder, *VARIANTS[variant])
    try:
        yield Seen(version, service)
    finally:
        service.close()


def test_shows_each_process_once(seen: Seen) -> None:
    assert Counter(seen.scrape.pids()) == Counter(seen.service.processes())


def test_names_one_master_and_its_workers(seen: Seen) -> None:
    roles, pids = seen.scrape.roles(), seen.scrape.by_worker("process_pid")
    masters = [pids[worker] for worker, role in roles.items() if role == "master"]
    assert masters == [seen.service.master]
    assert sorted(roles.values()) == ["master"] + ["worker"] * 4


def test_gives_each_process_one_role(seen: Seen) -> None:
    rows = seen.scrape.select("process_role")
    assert Counter(one.labels["worker"] for one in rows) == Counter(seen.scrape.roles().keys())


def test_one_of_them_serves(seen: Seen) -> None:
    serving = seen.service.scrape().by_worker("pymalloc_exporter_serving")
    assert sorted(serving.values()) == [0, 0, 0, 0, 1]


def test_has_no_series_twice(seen: Seen) -> None:
    names = Counter((one.name, *sorted(one.labels.items())) for one in seen.scrape.series)
    assert [name for name, times in names.items() if times > 1] == []


def test_knows_parents(seen: Seen) -> None:
    parents = seen.scrape.by_worker("process_parent_pid")
    workers = [worker for worker, role in seen.scrape.roles().items() if role == "worker"]
    assert {parents[worker] for worker in workers} == {seen.service.master}


def test_resident_memory_is_the_kernels(seen: Seen) -> None:
    pids = seen.scrape.by_worker("process_pid")
    for worker, ours in seen.scrape.by_worker("process_resident_memory_bytes").items():
        theirs = processes.resident_bytes(int(pids[worker]))
        assert ours == pytest.approx(theirs, rel=0.1, abs=2 << 20)


def test_parts_of_resident_memory_add_up(seen: Seen) -> None:
    whole = seen.scrape.by_worker("process_resident_memory_bytes")
    for worker, bytes_ in whole.items():
        parts = [
            seen.scrape.value(f"process_resident_memory_{part}_bytes", worker=worker)
            for part in ("anon", "file", "shmem")
        ]
        assert sum(parts) == pytest.approx(bytes_, abs=1 << 20)


def test_arena_bytes_add_up(seen: Seen) -> None:
    for worker, arenas in seen.scrape.by_worker("pymalloc_arenas").items():
        size = seen.scrape.value("pymalloc_arena_size_bytes", worker=worker)
        parts = seen.scrape.select("pymalloc_bytes", worker=worker)
        assert {one.labels["state"] for one in parts} == {
            *("live", "free_block", "free_pool", "uncarved", "overhead")
        }
        assert sum(one.value for one in parts) == arenas * size > 0


def test_arenas_by_occupancy_add_up(seen: Seen) -> None:
    for worker, arenas in seen.scrape.by_worker("pymalloc_arenas").items():
        bands = seen.scrape.select("pymalloc_arenas_by_occupancy", worker=worker)
        assert sum(one.value for one in bands) == arenas


def test_pools_fit_into_the_arenas(seen: Seen) -> None:
    for worker, arenas in seen.scrape.by_worker("pymalloc_arenas").items():
        arena = seen.scrape.value("pymalloc_arena_size_bytes", worker=worker)
        pool = seen.scrape.value("pymalloc_pool_size_bytes", worker=worker)
        pools = sum(one.value for one in seen.scrape.select("pymalloc_pools", worker=worker))
        # An arena that does not begin at a pool's boundary holds one pool less.
        assert arenas * (arena / pool - 1) <= pools <= arenas * arena / pool


def test_names_the_interpreter(seen: Seen) -> None:
    asked = [str(INTERPRETERS[seen.version]), "-c", "import platform as p"]
    asked[-1] += "; print(p.python_implementation(), *p.python_version_tuple())"
    answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    for one in seen.scrape.select("python_info"):
        labels = one.labels
        told = [labels[name] for name in ("implementation", "major", "minor", "patchlevel")]
        assert told == answer
        assert labels["version"] == ".".join(answer[1:])


def test_all_collectors_but_the_control_groups_are_up(seen: Seen) -> None:
    def down() -> set[str]:
        rows = seen.service.scrape().select("pymalloc_exporter_collector_up")
        return {one.labels["collector"] for one in rows if one.value != 1}

    # A machine may have no memory controller; the first sample is older than the endpoint.
    wait_until(lambda: down() <= {"cgroup"}, "all collectors up")


def test_has_at_most_200_series_a_worker(seen: Seen) -> None:
    series = Counter(one.labels.get("worker", "endpoint") for one in seen.scrape.series)
    assert max(series.values()) <= 200


def test_logs_nothing(seen: Seen) -> None:
    assert seen.service.log_lines() == []
