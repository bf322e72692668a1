"""Runs the user's own sitecustomize, then loads pymalloc_exporter if the environment asks."""

import os
import sys


def _log(text):
    try:
        if sys.stderr and __import__("select").select([], [2], [], 0)[1]:  # waits for no reader
            line = "pymalloc_exporter: " + " ".join(text.split()) + "\n"
            os.write(2, line.encode("utf-8", "replace"))
    except Exception:
        return  # nobody is left to tell


_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if entry != _here]
_self = sys.modules.pop("sitecustomize", None)  # held, or Python 2 would empty it
try:
    import sitecustomize  # noqa: F401  none: site expects just this ImportError
finally:
    if os.environ.get("PYMALLOC_EXPORTER_LISTEN", "off") not in ("", "off"):
        sys.path.insert(0, os.path.dirname(os.path.dirname(_here)))
        try:
            if sys.version_info < (3, 9):  # noqa: UP036
                raise ImportError("not built for Python " + sys.version.split()[0])
            __import__("pymalloc_exporter").start_from_environment(_log)
        except Exception as error:
            _log("off: " + str(error))
        del sys.path[0]
