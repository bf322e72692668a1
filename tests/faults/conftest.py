"""Fixtures of the tests of faults."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import library
from fleet import PROGRAMS, Fleet
from interpreters import INTERPRETERS, MAIN


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Makes fleets; takes Fleet's arguments. Their processes end with the test."""
    fleets: list[Fleet] = []

    def make(*, python: Path = INTERPRETERS[MAIN], **rest: object) -> Fleet:
        fleets.append(Fleet(python, tmp_path, **rest))
        return fleets[-1]

    yield make
    for one in fleets:
        one.close()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compiles a C helper of programs/: NAME, or NAME.so for a library; its path."""
    folder = tmp_path_factory.mktemp("compiled")
    return lambda name: library.compile_helper(PROGRAMS, name, folder)
