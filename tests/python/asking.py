"""Questions to workers, as a client asks them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

MARKER = {"X-Pymalloc-Exporter": "1"}


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict]:
    """Status and JSON of the answer; names of headers are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{port}{path}"
    request = urllib.request.Request(url, None, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def remedy(port: int, worker: int, name: str) -> tuple[int, dict]:
    path = f"/api/v1/workers/{worker}/{name}"
    return ask(port, path, "POST", X_Pymalloc_Exporter="1")
