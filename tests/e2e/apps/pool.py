"""Two processes of multiprocessing's or concurrent.futures'; `pool.py KIND METHOD`."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext

import figures

WORKERS = 2


def work(_: int = 0) -> None:
    figures.tell()
    time.sleep(0.5)  # so that the other one has work, too


def work_for_ever() -> None:
    work()
    time.sleep(600)


def processes(context: BaseContext) -> list:
    started = [context.Process(target=work_for_ever, daemon=True) for _ in range(WORKERS)]
    for process in started:
        process.start()
    return started


def futures(context: BaseContext) -> list:
    executor = ProcessPoolExecutor(WORKERS, mp_context=context)
    return [executor, *executor.map(work, range(WORKERS))]


def main(kind: str, method: str) -> None:
    kept = {"processes": processes, "futures": futures}[kind]
    everything = kept(multiprocessing.get_context(method))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(len(everything) == 0))
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
