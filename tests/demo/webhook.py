"""Takes what Alertmanager sends to its webhook."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Alert = dict


@contextlib.contextmanager
def receiver(port: int, take: Callable[[Alert], None]) -> Iterator[None]:
    """Calls `take` with each alert that comes to 127.0.0.1:`port`, from another thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            for alert in json.loads(body)["alerts"]:
                take(alert)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="webhook")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
