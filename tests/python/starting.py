"""Starts interpreters with the exporter on their path, and without."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Union

import pymalloc_exporter

PACKAGE = Path(pymalloc_exporter.__file__).parent
BOOTSTRAP = PACKAGE / "bootstrap"
EXTENSION = "_native" + sysconfig.get_config_var("EXT_SUFFIX")
IS_LOADED = "import sys; print('pymalloc_exporter._native' in sys.modules)"

AnyPath = Union[str, "os.PathLike[str]"]


def environment(*path: AnyPath, **variables: str) -> dict[str, str]:
    """Ours, without what concerns Python and the exporter; `path` becomes PYTHONPATH."""
    result = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYMALLOC_EXPORTER_"))
    }
    result["PYTHONDONTWRITEBYTECODE"] = "1"
    if path:
        result["PYTHONPATH"] = os.pathsep.join(map(str, path))
    return {**result, **variables}


def python(
    code: str,
    *path: AnyPath,
    executable: AnyPath = sys.executable,
    options: tuple[str, ...] = (),
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Runs `code`, with `path` as PYTHONPATH and `variables` in the environment."""
    return subprocess.run(
        [str(executable), *options, "-c", code],
        env=environment(*path, **variables),
        capture_output=True,
        text=True,
        timeout=60,
    )


def copy_package(folder: Path) -> Path:
    """Copies what this interpreter needs of the package; returns the copy's bootstrap folder.

    A debug build could load the extension of another ABI, too.
    """

    def not_needed(_: str, names: list[str]) -> list[str]:
        others = (name for name in names if name.startswith("_native.cpython"))
        return ["__pycache__", *(name for name in others if name != EXTENSION)]

    shutil.copytree(PACKAGE, folder / "pymalloc_exporter", ignore=not_needed)
    return folder / "pymalloc_exporter" / "bootstrap"


def _suffix_and_version(executable: str) -> tuple[str, str]:
    code = (
        "import sys, sysconfig;"
        "print(sysconfig.get_config_var('EXT_SUFFIX')); print(sys.version.split()[0])"
    )
    try:
        done = subprocess.run([executable, "-c", code], capture_output=True, text=True, timeout=60)
    except OSError:
        return "", ""
    suffix, _, version = done.stdout.strip().partition("\n")
    return suffix, version


def foreign_interpreters() -> dict[str, str]:
    """Interpreters that the exporter is not built for, by version: pyenv's and those on PATH."""
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    names = ["python2", "pypy", "pypy3", *(f"python3.{minor}" for minor in range(20))]
    candidates = [
        *glob.glob(f"{root}/versions/*/bin/python"),
        *filter(None, map(shutil.which, names)),
    ]
    found = {}
    for candidate in candidates:
        suffix, version = _suffix_and_version(candidate)
        if version and not (PACKAGE / f"_native{suffix}").exists():
            found[version] = candidate
    return found


def lines_of_ours(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines on standard error, which must all be the exporter's."""
    lines = done.stderr.splitlines()
    assert all(line.startswith("pymalloc_exporter: ") for line in lines), done.stderr
    return lines
