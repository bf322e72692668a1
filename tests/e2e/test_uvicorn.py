"""uvicorn --workers: a supervisor that spawns interpreters, and their resource tracker."""

from __future__ import annotations

from process_model import APPS, Model, ProcessModel, on


def uvicorn(*options: str, roles: dict[str, int]) -> Model:
    def command(port: int) -> list[str]:
        return on("uvicorn", "web:asgi", f"--port={port}", f"--app-dir={APPS}", *options)

    return Model(command, roles)


MODELS = {
    "alone": uvicorn(roles={"process": 1}),
    "workers": uvicorn("--workers=2", roles={"master": 1, "worker": 2, "process": 1}),
}


class TestUvicorn(ProcessModel):
    models = MODELS
