"""The rules, as promtool and our conventions see them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from sources import CASES, GRAFANA, RULES, alerts, boards, panels, recorded, selectors

ALERTS = alerts()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert re.fullmatch(r"PythonMemory([A-Z][a-z]+)+", name)
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    notes = alert["annotations"]
    assert "{{" not in notes["summary"]
    assert "{{" in notes["description"]
    assert notes["runbook_url"].startswith("grafana/runbooks/")
    page = GRAFANA.parent / notes["runbook_url"]
    assert name in page.read_text(), page


@pytest.mark.parametrize("name", [*ALERTS, *recorded()])
def test_every_selector_names_job_and_instance(name: str) -> None:
    expression = ALERTS[name]["expr"] if name in ALERTS else recorded()[name]
    found = selectors(expression)
    assert found
    for metric, matchers in found:
        assert 'job="pymalloc"' in matchers and "instance=~" in matchers, metric


def test_recorded_names_say_their_level_and_operation() -> None:
    for name, expression in recorded().items():
        level, metric, operation = name.split(":")
        assert level in ("instance", "instance_app") and metric and operation
        if " by (" in expression:
            kept = "job, instance, app" if level == "instance_app" else "job, instance"
            assert f"by ({kept})" in expression or f"by ({kept}, " in expression, name


def test_every_alert_has_cases_that_fire_and_that_do_not() -> None:
    fires: dict[str, int] = dict.fromkeys(ALERTS, 0)
    silent_groups: dict[str, int] = dict.fromkeys(ALERTS, 0)
    for path in CASES:
        for group in yaml.safe_load(path.read_text())["tests"]:
            cases = group["alert_rule_test"]
            for name in {case["alertname"] for case in cases}:
                own = [case["exp_alerts"] for case in cases if case["alertname"] == name]
                fires[name] += any(own)
                # A whole series that never fires, not only the minutes before it does.
                silent_groups[name] += not any(own)
    assert [name for name, count in fires.items() if not count] == []
    assert [name for name, count in silent_groups.items() if not count] == []


def test_no_rule_file_is_forgotten() -> None:
    named = {
        (path.parent / one).resolve()
        for path in CASES
        for one in yaml.safe_load(path.read_text())["rule_files"]
    }
    assert named == {path.resolve() for path in RULES}


def test_the_list_of_runbooks_is_whole() -> None:
    rows = (GRAFANA / "runbooks/README.md").read_text()
    listed = re.findall(
        r"^\| (PythonMemory\w+) \| (\w+) \| \[[\w-]+\]\(([\w-]+\.md)\) \|$", rows, re.M
    )
    meant = [
        (name, alert["labels"]["severity"], alert["annotations"]["runbook_url"].rsplit("/", 1)[1])
        for name, alert in ALERTS.items()
    ]
    assert sorted(listed) == sorted(meant)
    pages = {path.name for path in (GRAFANA / "runbooks").glob("*.md")} - {"README.md"}
    assert pages == {page for _, _, page in meant}


@pytest.mark.parametrize("page", sorted((GRAFANA / "runbooks").glob("*.md")), ids=lambda p: p.stem)
def test_a_runbook_leads_on(page: Path) -> None:
    """From what it means to what to look at and to do; its links and panels exist."""
    text = page.read_text()
    if page.stem != "README":
        for part in ("**Means:**", "## Look", "## Now", "## By day"):
            assert part in text, part
    for link in re.findall(r"\]\(([\w-]+\.md)\)", text):
        assert (page.parent / link).exists(), link
    titles = {panel["title"] for board in boards().values() for panel in panels(board)}
    for quoted in re.findall(r'"([A-Z][^"]+\?|Days to the limit|Workers that fit)"', text):
        assert " ".join(quoted.split()) in titles, quoted


@pytest.mark.parametrize(
    "path", sorted(GRAFANA.rglob("*.yml")), ids=lambda path: str(path.relative_to(GRAFANA))
)
def test_yaml_is_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text())
