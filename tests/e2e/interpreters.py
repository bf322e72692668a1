"""The interpreters that the exporter was built for, each in an environment with gunicorn."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENTS = Path(os.environ.get("PYMALLOC_EXPORTER_VENVS", ROOT / "build" / "venvs"))

OWN = "{}.{}".format(*sys.version_info)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.name.split(".") if part.isdigit())


# "3.11" -> the environment's interpreter. Not resolved: a venv is known by its own path.
INTERPRETERS = {
    "{}.{}".format(*_version(folder)[:2]): folder / "bin" / "python"
    for folder in sorted(ENVIRONMENTS.glob("3.*"), key=_version)
    if (folder / "bin" / "python").exists()
} or {OWN: Path(sys.executable)}

# The one that has every server of requirements-servers.txt.
SERVERS = ENVIRONMENTS / "servers" / "bin" / "python"

# The one that tests use which need no more than one.
MAIN = OWN if OWN in INTERPRETERS else list(INTERPRETERS)[-1]
