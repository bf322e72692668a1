"""The interpreter of Debian's own packages, where the exporter was built for it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pymalloc_exporter
import pytest
from interpreters import INTERPRETERS

SYSTEM = Path("/usr/bin/python3")
PACKAGE = Path(pymalloc_exporter.__file__).parent


def version() -> str:
    """Such as 3.11; nothing where there is none."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([SYSTEM, "-c", code], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


# Its extension serves any interpreter of that version.
ENVIRONMENT = INTERPRETERS.get(version())


def needs(program: str, *files: str) -> pytest.MarkDecorator:
    """Skips where that program is not there, or the exporter for its interpreter."""
    there = shutil.which(program) and all(Path(file).exists() for file in files)
    reason = f"needs {program} from Debian, and the exporter for {SYSTEM} ({version()})"
    return pytest.mark.skipif(not (there and ENVIRONMENT), reason=reason)
