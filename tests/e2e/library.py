"""The tests' helpers in C, compiled when they are wanted."""

from __future__ import annotations

import subprocess
from pathlib import Path

FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")


def compile_helper(sources: Path, name: str, folder: Path) -> Path:
    """`name.so` is a shared library, `name` a program; of a file in the folder `sources`."""
    made = folder / name
    if not made.exists():
        shared = ("-shared", "-fPIC") if name.endswith(".so") else ()
        source = sources / f"{Path(name).stem}.c"
        subprocess.run(["cc", *FLAGS, *shared, str(source), "-o", str(made)], check=True)
    return made
