"""What `make demo-stack` starts: it says where everything is, ends, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parents[1] / "demo"


def commands_of(folder: Path) -> list[str]:
    """Command lines of the processes that work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(process.read_text())
        except OSError:
            continue
    return [one.replace("\0", " ") for one in found if str(folder) in one]


def test_it_ends_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "DEMO_SECONDS": "3", "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(DEMO / "run-stack")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stderr, done.returncode) == ("", 0)
    for what in ("application", "exporter", "Prometheus", "Alertmanager"):
        assert f"{what} " in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert commands_of(tmp_path) == []
