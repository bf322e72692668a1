"""hello, but each request leaves objects behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import hello

LEFT_BEHIND = 1000


class Leaked:
    """What is left behind."""

    __slots__ = ("request",)


kept: list[Leaked] = []


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    kept.extend(Leaked() for _ in range(LEFT_BEHIND))
    return hello.application(environ, start_response)
