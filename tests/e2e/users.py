"""Interpreters that another user can read, too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from interpreters import INTERPRETERS


def library_folders(python: Path) -> str:
    """Where that interpreter's environment has gunicorn and the exporter."""
    code = "import os, gunicorn, pymalloc_exporter as p; print(gunicorn.__file__, p.__file__)"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return ":".join(str(Path(file).parents[1]) for file in answer.stdout.split())


def candidates() -> Iterator[tuple[Path, dict[str, str]]]:
    """Interpreters with the environment variables that they need."""
    for version, python in INTERPRETERS.items():
        yield python, {}
        # Ours may lie in a folder of root's; the system's own never does.
        yield Path(f"/usr/bin/python{version}"), {"PYTHONPATH": library_folders(python)}


def usable_by(user: str | int, python: Path, environment: dict[str, str]) -> bool:
    """Whether that user can read the interpreter's files and what a server imports."""
    code = "import random, gunicorn.workers.sync, pymalloc_exporter._native"
    try:
        asked = [str(python), "-B", "-c", code]
        done = subprocess.run(asked, user=user, env=environment, cwd="/", capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def interpreter_of(user: str | int) -> tuple[Path, dict[str, str]]:
    """One, and the environment variables that it needs; skips the test if there is none."""
    for python, environment in candidates():
        if usable_by(user, python, environment):
            return python, environment
    pytest.skip(f"no interpreter here is readable for {user}")
