"""Programs without a server: alone, with children, and with multiprocessing's processes."""

from __future__ import annotations

from process_model import APPS, SERVERS, Model, ProcessModel, on


def script(name: str, *arguments: str, roles: dict[str, int]) -> Model:
    command = [str(SERVERS), str(APPS / name), *arguments]
    return Model(lambda _: command, roles, asked=())


# What multiprocessing starts for itself is no worker: a resource tracker, a fork server.
MODELS = {
    "script": script("alone.py", roles={"process": 1}),
    "python -m": Model(lambda _: on("alone"), {"process": 1}, asked=()),
    "subprocess, posix_spawn": script("alone.py", "2", roles={"process": 3}),
    "fork": script("pool.py", "processes", "fork", roles={"master": 1, "worker": 2}),
    "spawn": script(
        "pool.py", "processes", "spawn", roles={"master": 1, "worker": 2, "process": 1}
    ),
    "forkserver": script(
        "pool.py", "processes", "forkserver", roles={"master": 1, "worker": 2, "process": 2}
    ),
    "futures, fork": script("pool.py", "futures", "fork", roles={"master": 1, "worker": 2}),
    "futures, spawn": script(
        "pool.py", "futures", "spawn", roles={"master": 1, "worker": 2, "process": 1}
    ),
}


class TestPrograms(ProcessModel):
    models = MODELS
