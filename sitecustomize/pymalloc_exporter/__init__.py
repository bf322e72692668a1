"""A Prometheus exporter for the memory of CPython processes, inside every one of them.

Usually loaded at interpreter start by ``pymalloc-exporter run -- COMMAND`` and never imported
by hand. An embedding application, or one that cannot use that command, calls :func:`install`.
"""

from __future__ import annotations

import os
import sys

__all__ = ["__version__", "install"]


def _load_native():
    """The native part; ImportError names the interpreter where it was not built for it."""
    try:
        from pymalloc_exporter import _native as native
    except ModuleNotFoundError as error:
        tag = sys.implementation.cache_tag
        raise ImportError(f"it was not built for this interpreter ({tag})") from error
    return native


def __getattr__(name: str) -> str:
    if name == "__version__":
        return _load_native().__version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def install(
    listen: str = "127.0.0.1:9512",
    app: str | None = None,
    interval: float = 5.0,
    detail: str = "default",
) -> None:
    """Start to sample this process and to take part in the endpoint ``listen``.

    ``interval`` is in seconds, ``app`` defaults to the name of the program, ``detail`` is
    ``"default"`` or ``"full"``. Does nothing where the exporter runs already and in
    sub-interpreters. Raises ValueError for a bad argument, RuntimeError if it cannot start.
    """
    from pymalloc_exporter import config

    host, port = config.parse_listen(listen)
    settings = config.Settings(
        host,
        port,
        config.parse_app(config.own_app() if app is None else app),
        config.parse_interval(str(interval)),
        config.parse_detail(detail),
    )
    _load_native().install(*settings)


def start_from_environment() -> None:
    """What sitecustomize calls: bad values are one log line each and never an error."""
    native = _load_native()
    if not native.may_install():
        return
    from pymalloc_exporter import config

    settings, complaints = config.from_environment(os.environ)
    for complaint in complaints:
        os.write(2, f"pymalloc_exporter: {complaint}\n".encode("utf-8", "backslashreplace"))
    if settings is not None:
        native.install(*settings)
