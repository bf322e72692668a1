"""A celery application on a broker of files; each of its processes tells about itself."""

from __future__ import annotations

import os
from pathlib import Path

import figures
from celery import Celery
from celery.signals import beat_init, worker_process_init, worker_ready

FOLDER = Path(os.environ["FIGURES"], "broker")
TASKS = int(os.environ.get("TASKS", "0"))
FOLDER.mkdir(exist_ok=True)

app = Celery("jobs", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(FOLDER),
    "data_folder_out": str(FOLDER),
    "control_folder": str(FOLDER),
}
app.conf.beat_schedule_filename = str(FOLDER / "schedule")


@app.task
def leave_a_mark() -> None:
    (Path(os.environ["FIGURES"]) / f"{os.getpid()}.done").touch()


@worker_process_init.connect
@beat_init.connect
def tell(**_: object) -> None:
    figures.tell()


@worker_ready.connect
def send(**_: object) -> None:
    for _number in range(TASKS):
        leave_a_mark.delay()
