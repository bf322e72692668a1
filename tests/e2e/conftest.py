"""Fixtures of the end-to-end tests; what they share otherwise is in the modules beside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from gunicorn_service import Service
from interpreters import INTERPRETERS, MAIN
from process_model import Model, ProcessModel, Run, Runs


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden scrapes anew")


@pytest.fixture
def python() -> Path:
    """The interpreter of tests that need only one."""
    return INTERPRETERS[MAIN]


@pytest.fixture
def start(tmp_path: Path, python: Path) -> Iterator[Callable[..., Service]]:
    """Starts services; takes Service's arguments. They end with the test."""
    services: list[Service] = []

    def start_one(*options: str, python: Path = python, **rest: object) -> Service:
        services.append(Service(python, tmp_path, *options, **rest))
        return services[-1]

    yield start_one
    for service in services:
        service.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests of a module; they must leave it as it is."""
    service = Service(INTERPRETERS[MAIN], tmp_path_factory.mktemp("service"))
    try:
        service.wait_complete()
        yield service
    finally:
        service.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.cls is not None and issubclass(metafunc.cls, ProcessModel):
        models = metafunc.cls.models
        metafunc.parametrize("runs", models.values(), ids=models, scope="class", indirect=True)


@pytest.fixture(scope="class")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A server with the exporter and without, its two lives over."""
    model: Model = request.param
    folder = tmp_path_factory.mktemp("model")
    with Run(model, folder, exporter=True) as run:
        inside = run.observe()
    with Run(model, folder, exporter=False) as run:
        return Runs(inside, run.observe())
