"""A control group with a memory limit, where this machine lets us make one (root can)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

VERSION_1 = Path("/sys/fs/cgroup/memory")
VERSION_2 = Path("/sys/fs/cgroup")


def _make(bytes_: int) -> Path:
    if (VERSION_2 / "cgroup.controllers").exists():
        (VERSION_2 / "cgroup.subtree_control").write_text("+memory")
        mount, limit = VERSION_2, "memory.max"
    else:
        mount, limit = VERSION_1, "memory.limit_in_bytes"
    folder = mount / f"pymalloc_exporter-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / limit).write_text(str(bytes_))
    except OSError:
        folder.rmdir()
        raise
    return folder


def _remove(folder: Path) -> None:
    """What was killed just now may still be in it."""
    for _ in range(50):
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)
    folder.rmdir()


@contextlib.contextmanager
def limited(bytes_: int) -> Iterator[Path | None]:
    """The group's folder; None where no group can be made."""
    try:
        folder = _make(bytes_)
    except OSError:
        yield None
        return
    try:
        yield folder
    finally:
        _remove(folder)


def within(folder: Path | None, command: list[str]) -> list[str]:
    """The command, in that group from its start."""
    if folder is None:
        return command
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(folder / "cgroup.procs"), *command]
