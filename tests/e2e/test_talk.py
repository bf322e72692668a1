"""The experiment of the talk of 2010, under every interpreter."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from interpreters import INTERPRETERS

TALK = Path(__file__).resolve().parents[1] / "demo" / "talk"

# A twentieth of the talk's: the larger the heap, the rarer the walks through it.
COUNT = 50_000


@pytest.mark.parametrize("version", INTERPRETERS)
def test_talk_explains_itself_and_ends_where_it_began(version: str) -> None:
    done = subprocess.run(
        [str(INTERPRETERS[version]), "-B", str(TALK), str(COUNT)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    resident = [
        float(figure.replace(",", ""))
        for figure in re.findall(r"^    RSS +([\d,.]+) MB$", done.stdout, re.MULTILINE)
    ]
    begun, built, halved, dropped, trimmed = resident
    strings = COUNT * 99 * 16 / 1e6
    assert built - begun > strings
    assert built - halved < 0.5 * strings  # half of them went, less came back
    assert dropped - begun > 0.5 * strings  # and with all of them gone
    assert abs(trimmed - begun) < 5
