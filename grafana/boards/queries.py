"""Selectors and queries. Every selector names job and instance, so that none crosses targets."""

from __future__ import annotations

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

ENDPOINT = ('job=~"$job"', 'instance=~"$instance"')
APP = (*ENDPOINT, 'app=~"$app"')
PROCESS = (*APP, 'worker=~"$worker"')

WORKER = "{{app}}/{{worker}} {{instance}}"
HOST = "{{instance}}"


def _select(name: str, *matchers: str) -> str:
    return f"{name}{{{', '.join(matchers)}}}"


def endpoint(name: str, *more: str) -> str:
    """Series that an endpoint has once, without app and worker."""
    return _select(name, *ENDPOINT, *more)


def app(name: str, *more: str) -> str:
    """Recorded series that add up the workers of an app."""
    return _select(name, *APP, *more)


def process(name: str, *more: str) -> str:
    """Series that every process has."""
    return _select(name, *PROCESS, *more)


def query(expression: str, legend: str = "", *, instant: bool = False) -> prometheus.Dataquery:
    """A query of a panel; `instant` where only the present is shown."""
    made = prometheus.Dataquery().expr(expression).datasource(DATASOURCE)
    made = made.legend_format(legend or "__auto")
    return made.instant() if instant else made.range()


def column(expression: str) -> prometheus.Dataquery:
    """A query whose labels and value become columns of a table."""
    return query(expression, instant=True).format(PromQueryFormat.TABLE)


# In the order in which they are stacked: what is used first.
ARENA_STATES = ("live", "free_block", "free_pool", "uncarved", "overhead")


def arena_states() -> list[prometheus.Dataquery]:
    """Arena bytes by what they are; they add up to all arenas."""
    states = ((state, process("pymalloc_bytes", f'state="{state}"')) for state in ARENA_STATES)
    return [query(f"sum({selected})", state) for state, selected in states]
