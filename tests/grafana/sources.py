"""What grafana/ holds, for the tests: dashboards, rules, and the names and queries in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"
RULES = sorted((GRAFANA / "rules").glob("*.yml"))
CASES = sorted((GRAFANA / "rules/tests").glob("*.yml"))

# name{matchers}
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
# Names of the exporter's own series, wherever they stand in a text.
NAME = re.compile(r"\b(?:process|python|pymalloc|malloc|cgroup)_[a-z0-9_]+\b")


class Query(NamedTuple):
    where: str
    expression: str
    instant: bool = False


def boards() -> dict[str, dict]:
    found = sorted((GRAFANA / "dashboards").glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in found}


def panels(board: dict) -> list[dict]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def board_queries(board: dict) -> list[Query]:
    """Those of panels and annotations."""
    found = [
        Query(f"{panel['title']} {target['refId']}", target["expr"], target.get("instant", False))
        for panel in panels(board)
        for target in panel["targets"]
    ]
    shown = board["annotations"]["list"]
    return found + [Query(one["name"], one["expr"]) for one in shown]


def variables(board: dict) -> dict[str, dict]:
    return {one["name"]: one for one in board["templating"]["list"]}


def rules() -> Iterator[dict]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def recorded() -> dict[str, str]:
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def alerts() -> dict[str, dict]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def selectors(expression: str) -> list[tuple[str, str]]:
    """(name, matchers) of each selector of an expression."""
    return SELECTOR.findall(expression)


def every_expression() -> list[Query]:
    """Every expression there is; dashboards' with their variables as they stand."""
    found = [one for board in boards().values() for one in board_queries(board)]
    found += [Query(name, expression) for name, expression in recorded().items()]
    return found + [Query(name, rule["expr"]) for name, rule in alerts().items()]
