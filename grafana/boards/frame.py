"""What every dashboard has: variables, links, the annotation of restarts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.models import dashboard

from .queries import DATASOURCE, process

TAG = "pymalloc_exporter"

# A row: its title and what makes its panels.
Rows = Sequence[tuple[str, Callable[[], Sequence]]]


def _variable(name: str, label: str, series: str, *, bounded: bool = True) -> QueryVariable:
    """Chooses among the values of label `name` of `series`; all, unless told otherwise.

    Not `bounded`: all are those that there are, not whatever there may be elsewhere.
    """
    made = QueryVariable(name).label(label).datasource(DATASOURCE)
    made = made.query({"query": f"label_values({series}, {name})", "refId": "variable"})
    made = made.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made = made.sort(dashboard.VariableSort.NATURAL_ASC).multi(True).include_all(True)
    chosen = dashboard.VariableOption(text=["All"], value=["$__all"], selected=True)
    made = made.current(chosen)
    return made.all_value(".+") if bounded else made


def _variables(apps: str) -> list:
    every = 'job=~"$job", instance=~"$instance"'
    return [
        DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _variable("job", "Job", "pymalloc_exporter_processes", bounded=False),
        _variable("instance", "Instance", 'pymalloc_exporter_processes{job=~"$job"}'),
        _variable("app", "App", f"{apps}{{{every}}}"),
        _variable("worker", "Worker", f'process_pid{{{every}, app=~"$app"}}'),
    ]


def _restarts() -> AnnotationQuery:
    started = process("process_start_time_seconds")
    made = AnnotationQuery().name("Restarts").datasource(DATASOURCE).enable(True)
    return made.expr(f"changes({started}[$__rate_interval]) > 0").icon_color("blue")


def _links() -> DashboardLink:
    made = DashboardLink("Python memory").type(dashboard.DashboardLinkType.DASHBOARDS)
    return made.tags([TAG]).keep_time(True).include_vars(True).as_dropdown(False)


def board(
    uid: str, title: str, description: str, span: str, rows: Rows, apps: str = "process_pid"
) -> dashboard.Dashboard:
    """A dashboard that shows the last `span` of time, of the apps that series `apps` tells of."""
    made = Dashboard(title).uid(uid).description(description).tags([TAG]).readonly()
    made = made.time(f"now-{span}", "now").refresh("30s").timezone("browser")
    made = made.tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    made = made.variables(_variables(apps)).link(_links()).annotation(_restarts())
    for heading, panels in rows:
        made = made.with_row(Row(heading))
        for panel in panels():
            made = made.with_panel(panel)
    return _numbered(made.build())


def _numbered(made: dashboard.Dashboard) -> dashboard.Dashboard:
    for number, panel in enumerate(made.panels, 1):
        panel.id_val = number
    return made
