"""A gunicorn under test, with the exporter inside or without it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import exposition
import processes
from processes import wait_until
from running_server import Server, clean_environment, exporter_command

__all__ = ["Service", "clean_environment", "exporter_command"]

HERE = Path(__file__).resolve().parent


class Service(Server):
    """Starts at once; close() ends every process of it, whatever happened."""

    def __init__(
        self,
        python: Path,
        folder: Path,
        *options: str,
        application: str = "hello:application",
        workers: int = 4,
        exporter: bool = True,
        port: int = 0,
        interval: float = 0.2,
        app: str = "e2e",
        python_flags: tuple[str, ...] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        port = port or processes.free_port()
        web_port = processes.free_port()
        self.expected_workers = workers
        flags = ("--interval", str(interval))
        before = exporter_command(python, port, *flags, app=app) if exporter else []
        gunicorn = [str(python), *python_flags, "-m", "gunicorn", application]
        settings = [f"--workers={workers}", f"--bind=127.0.0.1:{web_port}"]
        files = [f"--chdir={HERE / 'apps'}", f"--config={HERE / 'gunicorn_settings.py'}"]
        command = [*before, *gunicorn, *settings, *files, *options]
        super().__init__(command, folder, port, web_port, environment)

    def workers(self) -> list[int]:
        return processes.children(self.master)

    def processes(self) -> list[int]:
        return sorted([self.master, *self.workers()])

    def complete_scrape(self) -> exposition.Scrape | None:
        """A scrape that shows this service's processes, all of them and no others."""
        scrape = self.try_scrape()
        workers = self.workers()
        if scrape is None or len(workers) != self.expected_workers:
            return None
        # Rows come with the first sample; roles with the parent's.
        walked = len(scrape.select("pymalloc_arenas")) == len(workers) + 1
        roles = sorted(scrape.roles().values())
        complete = scrape.pids() == sorted([self.master, *workers]) and walked
        return scrape if complete and roles == ["master"] + ["worker"] * len(workers) else None

    def wait_complete(self, timeout: float = 20.0) -> exposition.Scrape:
        def look() -> exposition.Scrape | None:
            assert self.server.poll() is None, self.log()
            return self.complete_scrape()

        what = "all of the service's processes in a scrape"
        return wait_until(look, what, timeout, explain=self.log)

    def wait_serving(self) -> None:
        wait_until(self.serves_itself, "an answer of the application", explain=self.log)
