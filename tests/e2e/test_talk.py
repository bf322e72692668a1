"""The experiment of the talk of 2010, under every interpreter."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from interpreters import INTERPRETERS

TALK = Path(__file__).resolve().parents[1] / "demo" / "talk"

# A twentieth of the talk's: the larger the heap, the rarer the walks through it.
COUNT = 50_000


@pytest.fixture(scope="module")
def talks() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All at once: most of their time they wait for a walk through the C heap."""
    started = {
        version: subprocess.Popen(
            [str(python), "-B", str(TALK), str(COUNT)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for version, python in INTERPRETERS.items()
    }
    yield started
    for talk in started.values():
        talk.terminate()
        talk.communicate()


@pytest.mark.parametrize("version", INTERPRETERS)
def test_talk_explains_itself_and_ends_where_it_began(
    version: str, talks: dict[str, subprocess.Popen[str]]
) -> None:
    stdout, stderr = talks[version].communicate(timeout=300)
    assert (talks[version].returncode, stderr) == (0, ""), stdout + stderr
    resident = [
        float(figure.replace(",", ""))
        for figure in re.findall(r"^    RSS +([\d,.]+) MB$", stdout, re.MULTILINE)
    ]
    begun, built, halved, dropped, trimmed = resident
    strings = COUNT * 99 * 16 / 1e6
    assert built - begun > strings
    assert built - halved < 0.5 * strings  # half of them went, less came back
    assert dropped - begun > 0.5 * strings  # and with all of them gone
    assert abs(trimmed - begun) < 5
