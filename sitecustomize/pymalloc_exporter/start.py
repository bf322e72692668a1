"""Starts the exporter if the environment asks for it: what a line in a .pth file imports.

Reaches interpreters that read no PYTHONPATH (-I, -E), and so find no sitecustomize of ours.
Runs at the start of each interpreter of an environment; no failure gets out.
"""

import os
import select

from pymalloc_exporter import start_from_environment


def _log(text: str) -> None:
    line = "pymalloc_exporter: " + " ".join(text.split()) + "\n"
    try:
        if select.select([], [2], [], 0)[1]:  # waits for no reader
            os.write(2, line.encode("utf-8", "replace"))
    except OSError:
        return  # nobody is left to tell


if os.environ.get("PYMALLOC_EXPORTER_LISTEN", "off") not in ("", "off"):
    try:
        start_from_environment(_log)
    except Exception as error:
        _log("off: " + str(error))
