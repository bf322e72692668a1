"""hello, but each request leaves a hole of 100 MB in the C heap."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import hello

kept: list[bytearray] = []


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/burst":
        work = [bytes(5000) for _ in range(20_000)]
        # At the top of the heap, which cannot shrink below it.
        kept.append(bytearray(5000))
        del work
    return hello.application(environ, start_response)
