"""A Prometheus exporter for the memory of CPython processes, inside every one of them.

Usually loaded at interpreter start by ``pymalloc-exporter run -- COMMAND`` and never imported
by hand. An embedding application, or one that cannot use that command, calls :func:`install`.
"""

import os
import sys

TYPE_CHECKING = False  # these would cost every interpreter time at its start
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from pymalloc_exporter._heap import Heap

__all__ = ["__version__", "clear_free_lists", "collect", "heap", "install", "pinning", "trim"]


def _load_native() -> "ModuleType":
    """The native part. ImportError says so where there is none for this interpreter."""
    try:
        import pymalloc_exporter._native as native
    except ModuleNotFoundError as error:
        interpreter = f"{sys.implementation.name} {sys.version.split()[0]}, {sys.executable}"
        raise ImportError(f"not built for this interpreter ({interpreter})") from error
    return native


def __getattr__(name: str) -> str:
    if name == "__version__":
        version: str = _load_native().__version__
        return version
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def install(
    listen: str = "127.0.0.1:9512",
    app: "str | None" = None,
    interval: float = 5.0,
    slow_interval: float = 60.0,
    slow_cpu: float = 0.5,
    detail: str = "default",
    enable_admin_api: str = "off",
    auto_trim: str = "off",
    top: int = 10,
) -> None:
    """Start to sample this process and to take part in the endpoint ``listen``.

    ``interval`` and ``slow_interval`` (for what walks the whole process) are in seconds,
    ``slow_cpu`` is what these walks may take, in percent of a core, ``app`` defaults to the name
    of the program, ``detail`` is ``"default"`` or ``"full"``,
    ``enable_admin_api`` ``"off"``, ``"on"`` (remedies for clients on this machine) or ``"all"``,
    ``auto_trim`` ``"off"`` or a size such as ``"256MiB"``, ``top`` is how many types have
    series of their own. Does nothing where the exporter runs already, in sub-interpreters, and
    where ``listen`` is ``"off"``. Raises ValueError for a bad argument, ImportError where it was
    not built for this interpreter, RuntimeError if it cannot start.
    """
    from pymalloc_exporter import config

    given = {
        "LISTEN": listen,
        "INTERVAL": interval,
        "SLOW_INTERVAL": slow_interval,
        "SLOW_CPU": slow_cpu,
        "DETAIL": detail,
        "ENABLE_ADMIN_API": enable_admin_api,
        "AUTO_TRIM": auto_trim,
        "TOP": top,
    }
    if app is not None:
        given["APP"] = app
    settings = config.complete(
        {name: config.parse(name, str(value), name.lower()) for name, value in given.items()}
    )
    if settings is not None:
        _load_native().install(**settings)


def heap() -> "Heap":
    """What lives now, by type: print it, subtract an earlier one from it.

    Counted without the GIL; objects of more than 512 bytes where malloc is glibc's. RuntimeError
    where the exporter is not installed or cannot read this interpreter's heap, with the reason.
    """
    from pymalloc_exporter._heap import take

    return take(_load_native().census())


def pinning(type_or_name: "type | str", most: int = 100) -> "list[Any]":
    """The live objects of a type in sparse arenas (less than half live), sparsest arenas first.

    For ``gc.get_referrers()``: who holds what keeps the memory. At most ``most`` of them, of that
    very type (no subclasses) or of all types that :func:`heap` shows by that name, as far as the
    garbage collector tracks them: no tuples and dicts of plain values only, nothing frozen by
    ``gc.freeze()``.

    Holds the GIL for 10 to 250 ns an object that is tracked, the longer the further apart they
    lie, and takes 8 bytes for each meanwhile; afterwards only the list of results is left.
    Touches each of them, as ``gc.get_objects()`` does: what a forked process shared with its
    parent is copied.

    ValueError for a type whose objects are not tracked (str, int), a name that no type has,
    and ``most`` below 1; TypeError for what is neither type nor name; RuntimeError where arenas
    cannot be looked at, with the reason.
    """
    from pymalloc_exporter._pinning import find

    return find(_load_native(), type_or_name, most)


def trim() -> "dict[str, Any]":
    """Give back to the system what the C heap keeps free, as malloc_trim(3) does.

    Without the GIL; whoever allocates from the C heap meanwhile waits, 20 ms for 200,000 free
    chunks. Returns ``resident_before_bytes`` and ``resident_after_bytes`` (RSS) and
    ``stalled_seconds``. RuntimeError where malloc is not glibc's.
    """
    rows: dict[str, Any] = _load_native().trim()
    return rows


def collect() -> "dict[str, Any]":
    """A full garbage collection, measured: as trim(), and ``unreachable_objects``.

    Clears the free lists, too: ``freelist_before_bytes`` and ``freelist_after_bytes``, both 0
    where the exporter does not read them in this process.
    """
    rows: dict[str, Any] = _load_native().collect()
    return rows


def clear_free_lists() -> "dict[str, Any]":
    """Give the interpreter's free lists back to its allocator, without traversing the objects.

    The keys of collect(). All objects that the collector tracks count as old afterwards. Where
    the application has called gc.freeze(), this is a full collection.
    """
    rows: dict[str, Any] = _load_native().clear_free_lists()
    return rows


def start_from_environment(log: "Callable[[str], None]") -> None:
    """What sitecustomize calls; a bad value is a line for `log`. Else raises as install()."""
    try:
        native = _load_native()
    except ImportError:
        del sys.modules[__name__]  # another copy on the path may be built for this interpreter
        raise
    if not native.may_install():
        return
    from pymalloc_exporter import config

    settings, complaints = config.from_environment(os.environ)
    for complaint in complaints:
        log(complaint)
    if settings is not None:
        native.install(**settings)
