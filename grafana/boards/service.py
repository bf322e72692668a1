"""*Python memory: service*: is it well, and if not, which worker to look at."""

from __future__ import annotations

from . import ledger
from .frame import board
from .panels import BYTES, COUNT, SHARE, figure, graph
from .queries import HOST, WORKER, endpoint, process, query
from .workers import workers_table

RSS = process("process_resident_memory_bytes")
USED = (
    f"({endpoint('cgroup_memory_usage_bytes')} - {endpoint('cgroup_memory_inactive_file_bytes')})"
)
LIMIT = endpoint("cgroup_memory_limit_bytes")


def at_a_glance() -> list:
    alerts = 'ALERTS{alertstate="firing", job=~"$job", instance=~"$instance"}'
    workers = process("process_role", 'role="worker"')
    return [
        figure(
            "Workers",
            "Processes that were forked from one of the others and are alive.",
            COUNT,
            query(f"sum({workers})"),
        ),
        figure(
            "Resident",
            "RSS of all chosen processes, added up. Memory that workers share with their master "
            "is counted once for each of them.",
            BYTES,
            query(f"sum({RSS})"),
        ),
        figure(
            "Used of the limit",
            "Memory of the fullest control group, without page cache that can be dropped, by its "
            "limit. At 100 % the kernel kills a process.",
            SHARE,
            query(f"max({USED} / {LIMIT})"),
            steps=((None, "green"), (0.75, "orange"), (0.9, "red")),
            decimals=0,
            none="no limit",
        ),
        ledger.worst_ratio(),
        figure(
            "Firing alerts",
            "Alerts about these targets that fire now. Each names its runbook.",
            COUNT,
            query(f"count({alerts}) or vector(0)"),
            steps=((None, "green"), (1, "red")),
        ),
        figure(
            "Killed for want of memory",
            "Processes of the control groups that the kernel killed within the time shown.",
            COUNT,
            query(
                f"sum(increase({endpoint('cgroup_memory_oom_kills_total')}[$__range]))",
                instant=True,
            ),
            steps=((None, "green"), (1, "red")),
            decimals=0,
            none="not told",
        ),
    ]


def per_worker() -> list:
    return [
        graph(
            "How much does each worker hold?",
            "RSS of each process. A line that climbs and never comes back: a leak, or memory "
            "that is free and kept. The ratio beside it tells which.",
            BYTES,
            query(RSS, WORKER),
        ),
        graph(
            "How much of it is alive?",
            ledger.LIVE_DESCRIPTION,
            BYTES,
            query(ledger.LIVE, WORKER),
        ),
        ledger.ratios(),
        graph(
            "How full are the control groups?",
            "Memory without page cache that can be dropped, and the limit where there is one. "
            "This, not the sum of RSS, is what the kernel compares.",
            BYTES,
            query(USED, f"used {HOST}"),
            query(LIMIT, f"limit {HOST}"),
        ),
    ]


def lives() -> list:
    ended = endpoint("pymalloc_exporter_processes_ended_total")
    started = process("process_start_time_seconds")
    return [
        graph(
            "How often are workers replaced?",
            "Slots whose process is another one than before, by app. Recycling is planned "
            "(max_requests); crashes look the same here, so compare with the next panel.",
            COUNT,
            query(
                f"sum by (app, instance) (changes({started}[$__rate_interval]))", "{{app}} " + HOST
            ),
            width=8,
        ),
        graph(
            "How do processes end?",
            "Ends with and without a finalized interpreter. Forked children, SIGTERM and "
            "os._exit() do not finalize: a change of the rate says more than its height.",
            "cps",
            query(
                f"sum by (announced) (rate({ended}[$__rate_interval]))",
                "goodbye said: {{announced}}",
            ),
            width=8,
        ),
        graph(
            "How many processes take part?",
            "Processes of the endpoint, and those that found no slot and are not in the scrape.",
            COUNT,
            query(endpoint("pymalloc_exporter_processes"), f"taking part {HOST}"),
            query(endpoint("pymalloc_exporter_processes_without_slot"), f"without slot {HOST}"),
            width=8,
        ),
    ]


def dashboard():
    return board(
        "pymalloc-service",
        "Python memory: service",
        "All workers of a Python service: where the memory is and which worker to look at.",
        "1h",
        [
            ("At a glance", at_a_glance),
            ("Where does the memory go?", ledger.where_it_goes),
            ("Worker by worker", per_worker),
            ("Lives and deaths", lives),
            ("The workers now", lambda: [workers_table()]),
        ],
    )
