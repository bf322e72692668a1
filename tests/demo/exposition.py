"""Reads Prometheus' text format, version 0.0.4, strictly: a line it cannot read is an error.

Standard library only. Shared by the demo's table and the end-to-end tests.
"""

from __future__ import annotations

import re
import urllib.request
from typing import NamedTuple

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
_SERIES = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_COMMENT = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.+)")
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


class Series(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


class Scrape(NamedTuple):
    series: list[Series]
    types: dict[str, str]
    help: dict[str, str]

    def select(self, name: str, **labels: str) -> list[Series]:
        """The series of that name that have all of `labels`."""
        wanted = labels.items()
        return [one for one in self.series if one.name == name and wanted <= one.labels.items()]

    def value(self, name: str, **labels: str) -> float:
        """The value of the only such series; LookupError if there are none or several."""
        found = self.select(name, **labels)
        if len(found) != 1:
            raise LookupError(f"{len(found)} series {name} {labels}")
        return found[0].value

    def by_worker(self, name: str, **labels: str) -> dict[str, float]:
        """The values of a row that every process has once, by its label `worker`."""
        return {one.labels["worker"]: one.value for one in self.select(name, **labels)}

    def roles(self) -> dict[str, str]:
        """The role of each worker."""
        found = self.select("process_role")
        return {one.labels["worker"]: one.labels["role"] for one in found if one.value == 1}

    def pids(self) -> list[int]:
        return sorted(int(one.value) for one in self.select("process_pid"))


def parse_labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None or match[1] in labels:
            raise ValueError(f"bad labels: {text}")
        labels[match[1]] = re.sub(r'\\[n"\\]', lambda escape: _ESCAPES[escape[0]], match[2])
        position = match.end()
    return labels


def parse(text: str) -> Scrape:
    scrape = Scrape([], {}, {})
    for line in text.split("\n"):
        comment = _COMMENT.fullmatch(line)
        series = _SERIES.fullmatch(line)
        if comment:
            kept = scrape.types if comment[1] == "TYPE" else scrape.help
            kept[comment[2]] = comment[3]
        elif series:
            labels = parse_labels(series[2] or "")
            scrape.series.append(Series(series[1], labels, float(series[3])))
        elif line:
            raise ValueError(f"no line of the text format: {line}")
    return scrape


# No proxy of the environment: the exporter is on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(address: str, timeout: float = 5.0, only: tuple[str, ...] = ()) -> Scrape:
    """One scrape of HOST:PORT. OSError if nobody answers.

    `only`: the beginnings of the lines that are read, for who scrapes more often than all of
    them can be read.
    """
    with _OPENER.open(f"http://{address}/metrics", timeout=timeout) as answer:
        text = answer.read().decode("utf-8")
    if only:
        text = "\n".join(line for line in text.split("\n") if line.startswith(only))
    return parse(text)
