# Runs the user's own sitecustomize, then loads pymalloc_exporter if the environment asks.
# Any interpreter may find this file on its PYTHONPATH: it is kept to what all of them parse.
import os
import sys


def _load(package):
    if sys.version_info < (3, 9) or sys.implementation.name != "cpython":
        raise ImportError("it needs CPython 3.9 or later; this is %s" % sys.version.split()[0])
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location
    start = os.path.join(package, "__init__.py")
    spec = spec_from_file_location("pymalloc_exporter", start, submodule_search_locations=[package])
    sys.modules[spec.name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.start_from_environment()


_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if entry != _here]
_self = sys.modules.pop("sitecustomize", None)
try:
    import sitecustomize  # the user's; none there is an ImportError that site expects
finally:
    if os.environ.get("PYMALLOC_EXPORTER_LISTEN", "off") not in ("", "off"):
        try:
            _load(os.path.dirname(_here))
        except BaseException as error:
            sys.modules.pop("pymalloc_exporter", None)
            os.write(2, ("pymalloc_exporter: off: %s\n" % error).encode("utf-8", "replace"))
