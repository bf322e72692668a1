"""celery's prefork pool, its short-lived children and its scheduler."""

from __future__ import annotations

from pathlib import Path

from process_model import APPS, Model, ProcessModel, Run, on
from processes import wait_until

TASKS = 12
POOL = {"master": 1, "worker": 2}


def celery(*options: str, roles: dict[str, int], **environment: str) -> Model:
    def command(_: int) -> list[str]:
        return on("celery", "--app=jobs", f"--workdir={APPS}", *options)

    return Model(command, roles, asked=(), environment=environment)


def worker(*options: str, **environment: str) -> Model:
    return celery("worker", "--concurrency=2", *options, roles=POOL, **environment)


MODELS = {"prefork": worker(), "beat": celery("beat", roles={"process": 1})}


class TestCelery(ProcessModel):
    models = MODELS


def test_a_child_for_each_task_leaves_nothing_behind(tmp_path: Path) -> None:
    with Run(worker("--max-tasks-per-child=1", TASKS=str(TASKS)), tmp_path) as run:
        done = run.figures.glob
        wait_until(lambda: len([*done("*.done")]) == TASKS, "the tasks", 60, explain=run.server.log)
        scrape = run.wait_complete()
        # Those that lived for a second had a slot, for less than a second more.
        assert max(int(worker) for worker in scrape.roles()) < 3 * 3
        run.stop()
        assert run.code == 0
        assert "pymalloc_exporter: " not in run.log
