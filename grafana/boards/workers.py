"""The table of workers; each row leads to its process."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models import dashboard, units

from . import ledger
from .panels import BYTES, COUNT, RATIO, thresholds
from .queries import DATASOURCE, column, process

PROCESS_BOARD = "/d/pymalloc-process"

# Heading, what it shows, unit.
COLUMNS = (
    ("RSS", process("process_resident_memory_bytes"), BYTES),
    ("Peak RSS", process("process_resident_memory_peak_bytes"), BYTES),
    ("Live", ledger.LIVE, BYTES),
    ("Ratio", ledger.RATIO_OF_WORKER, RATIO),
    ("Unique", process("process_unique_memory_bytes"), BYTES),
    ("pid", process("process_pid"), units.String),
    ("Age", f"time() - {process('process_start_time_seconds')}", units.Seconds),
)
LABELS = ("instance", "app", "worker", "role")


def _link() -> DashboardLink:
    fields = ("instance", "app", "worker")
    chosen = "&".join(f"var-{name}=${{__data.fields.{name}}}" for name in fields)
    url = f"{PROCESS_BOARD}?${{datasource:queryparam}}&${{job:queryparam}}&{chosen}"
    return DashboardLink("Open this process").url(url + "&${__url_time_range}")


def _keep(expression: str) -> str:
    """Only the labels that are shown: the others would keep rows from meeting."""
    return f"sum by (instance, app, worker) ({expression})"


def workers_table() -> table.Panel:
    panel = table.Panel().title("Which worker is it?").datasource(DATASOURCE)
    panel = panel.description(
        "Every process as it is now, the largest first. A row's link opens its process."
    )
    panel = (
        panel.unit(COUNT).min_width(80).span(24).height(8).thresholds(thresholds(((None, "text"),)))
    )
    role = f"sum by ({', '.join(LABELS)}) ({process('process_role')})"
    panel = panel.with_target(column(role).ref_id("role"))
    renamed = {}
    excluded = {"Time": True, "Value #role": True}
    for heading, expression, unit in COLUMNS:
        ref = heading.replace(" ", "_")
        panel = panel.with_target(column(_keep(expression)).ref_id(ref))
        renamed[f"Value #{ref}"] = heading
        panel = panel.override_by_name(heading, [dashboard.DynamicConfigValue("unit", unit)])
    order = {name: index for index, name in enumerate([*LABELS, *renamed])}
    panel = panel.with_transformation(_transformation("merge", {}))
    options = {"excludeByName": excluded, "indexByName": order, "renameByName": renamed}
    panel = panel.with_transformation(_transformation("organize", options))
    sort = {"fields": {}, "sort": [{"field": "RSS", "desc": True}]}
    panel = panel.with_transformation(_transformation("sortBy", sort))
    links = [dashboard.DynamicConfigValue("links", [_link().build()])]
    return panel.override_by_name("worker", links)


def _transformation(name: str, options: dict) -> dashboard.DataTransformerConfig:
    return dashboard.DataTransformerConfig(id_val=name, options=options)
