"""Panels of the exporter itself."""

from __future__ import annotations

from grafana_foundation_sdk.models import units

from .panels import COUNT, SHARE, bars, graph
from .queries import WORKER, endpoint, process, query


def panels() -> list:
    cpu = process("pymalloc_exporter_cpu_seconds_total")
    taken = process("pymalloc_exporter_collector_duration_seconds")
    requests = endpoint("pymalloc_exporter_http_requests_total")
    return [
        graph(
            "How much of a core does it take?",
            "CPU time of the exporter's own threads in each process.",
            SHARE,
            query(f"rate({cpu}[$__rate_interval])", WORKER),
            steps=((None, "transparent"), (0.01, "orange")),
        ),
        graph(
            "How long does a collector take?",
            "The last run of each collector, the slowest of the chosen processes. It holds no "
            "lock of the application and does not take the GIL.",
            units.Seconds,
            query(f"max by (collector) ({taken})", "{{collector}}"),
        ),
        bars(
            "Which collectors can be trusted?",
            "Share of the chosen processes in which each collector is up. For the reason where "
            "one is down see pymalloc_exporter_collector_info.",
            SHARE,
            query(
                f"avg by (collector) ({process('pymalloc_exporter_collector_up')})",
                "{{collector}}",
                instant=True,
            ),
            steps=((None, "red"), (1, "green")),
            width=6,
            most=1,
        ),
        graph(
            "How old are the figures?",
            "Age of each process's sample when it was scraped. A worker that is stopped or gone "
            "shows as a line that climbs.",
            units.Seconds,
            query(f"time() - {process('pymalloc_exporter_sample_timestamp_seconds')}", WORKER),
            width=6,
        ),
        graph(
            "Who asks?",
            "Requests to the endpoint by path and answer.",
            "reqps",
            query(f"sum by (path, code) (rate({requests}[$__rate_interval]))", "{{path}} {{code}}"),
            width=6,
        ),
        graph(
            "How often does the port move?",
            "Takeovers of the port, and samples that could not be published.",
            COUNT,
            query(
                f"sum(increase({endpoint('pymalloc_exporter_leader_changes_total')}"
                "[$__rate_interval]))",
                "takeovers",
            ),
            query(
                f"sum(increase({endpoint('pymalloc_exporter_slots_rejected_total')}"
                "[$__rate_interval]))",
                "rejected samples",
            ),
            width=6,
        ),
    ]
