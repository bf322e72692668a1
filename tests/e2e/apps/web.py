"""An application for WSGI and for ASGI whose processes tell about themselves when asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import figures

TYPE = ("Content-Type", "text/plain")


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    figures.tell()
    start_response("200 OK", [TYPE])
    return [str(os.getpid()).encode()]


async def asgi(scope: dict, receive: Callable, send: Callable) -> None:
    assert scope["type"] == "http"
    figures.tell()
    headers = [tuple(text.encode() for text in TYPE)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
