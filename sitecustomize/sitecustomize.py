"""Runs the user's own sitecustomize, then loads pymalloc_exporter if the environment asks.

Any interpreter may find this file on its PYTHONPATH: it is kept to what all of them parse.
"""

import os
import sys


def _load(package):
    if sys.version_info < (3, 9):
        raise ImportError("not built for this interpreter (%s)" % sys.executable)  # noqa: UP031
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location

    spec = spec_from_file_location("pymalloc_exporter", os.path.join(package, "__init__.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return sys.modules.setdefault(spec.name, module)


here = os.path.dirname(os.path.abspath(__file__))
