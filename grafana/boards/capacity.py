"""*Python memory: capacity*: how long it lasts, how many workers fit, what limit to ask for.

Built on recorded series (grafana/rules/recording.yml): they are few, kept for long, and what a
fleet sends on.
"""

from __future__ import annotations

from .frame import board
from .panels import BYTES, COUNT, SHARE, bars, figure, graph
from .queries import HOST, WORKER, app, endpoint, process, query

USED = endpoint("instance:cgroup_memory_working_set_bytes:max")
LIMIT = endpoint("instance:cgroup_memory_limit_bytes:min")
LARGEST_WORKER = app("instance_app:process_resident_memory_bytes:max")
LOST = app("instance_app:pymalloc_held_bytes:sum")
RESIDENT = app("instance_app:process_resident_memory_bytes:sum")

DAY = 86_400
# Not Grafana's own days: it turns them into weeks.
DAYS = "suffix: days"
# Sizing: the peak of a week and 15 % on top.
RESERVE = 1.15
# What no trend of a week says anything about.
FARTHEST_DAYS = 365

GROWTH_PER_DAY = f"deriv({USED}[7d]) * {DAY}"
DAYS_LEFT = (
    f"clamp_max(clamp_min({LIMIT} - {USED}, 0) / clamp_min({GROWTH_PER_DAY}, 1), {FARTHEST_DAYS})"
)
PEAK = f"max_over_time({USED}[7d])"
PEAK_OF_WORKER = f"max_over_time({LARGEST_WORKER}[7d])"


def answers() -> list:
    fit = f"{LIMIT} / on (job, instance) group_right () ({RESERVE} * {PEAK_OF_WORKER})"
    week = "avg_over_time({0}[1d]{1})"
    now, before = (week.format(USED, offset) for offset in ("", " offset 7d"))
    return [
        figure(
            "Days to the limit",
            "Until the first control group reaches its limit, if the trend of the last 7 days "
            f"goes on; {FARTHEST_DAYS} where it does not grow.",
            DAYS,
            query(f"min({DAYS_LEFT})"),
            steps=((None, "red"), (7, "orange"), (30, "green")),
            decimals=0,
            none="no limit",
        ),
        figure(
            "Used of the limit",
            "The fullest control group now.",
            SHARE,
            query(f"max({USED} / {LIMIT})"),
            steps=((None, "green"), (0.75, "orange"), (0.9, "red")),
            decimals=0,
            none="no limit",
        ),
        figure(
            "Suggested limit",
            "The highest use of the last 7 days in any control group, and 15 % on top.",
            BYTES,
            query(f"max({RESERVE} * {PEAK})"),
            decimals=1,
        ),
        figure(
            "Workers that fit",
            "Into the smallest limit, at the peak of the largest worker in 7 days and 15 % on "
            "top. Memory shared with the master is counted in each: the true number is higher "
            "with preload.",
            COUNT,
            query(f"min(floor({fit}))"),
            decimals=0,
            none="no limit",
        ),
        figure(
            "Growth week over week",
            "Use of the last day against the same day a week ago, the fastest control group.",
            SHARE,
            query(f"max({now} / ({before}) - 1)"),
            steps=((None, "green"), (0.1, "orange"), (0.3, "red")),
            decimals=1,
            none="not a week yet",
        ),
        figure(
            "Lost to fragmentation",
            "Arena bytes that are held and not live, of all apps.",
            BYTES,
            query(f"sum({LOST})"),
            decimals=1,
        ),
    ]


def use() -> list:
    return [
        graph(
            "How much of the limit is used?",
            "Memory of each control group without page cache that can be dropped, its limit, and "
            "the median, 95th percentile and peak of the 7 days before each moment.",
            BYTES,
            query(USED, f"used {HOST}"),
            query(LIMIT, f"limit {HOST}"),
            query(f"quantile_over_time(0.5, {USED}[7d])", f"7-day median {HOST}"),
            query(f"quantile_over_time(0.95, {USED}[7d])", f"7-day p95 {HOST}"),
            query(PEAK, f"7-day peak {HOST}"),
            width=16,
            height=10,
        ),
        bars(
            "Where will it be?",
            "The trend of the last 7 days, carried on by 1, 7 and 30 days, beside now and the "
            "limit. A straight line: it knows nothing of deployments.",
            BYTES,
            query(USED, f"now {HOST}", instant=True),
            *(
                query(
                    f"clamp_min(predict_linear({USED}[7d], {days * DAY}), 0)",
                    f"in {days} d {HOST}",
                    instant=True,
                )
                for days in (1, 7, 30)
            ),
            query(LIMIT, f"limit {HOST}", instant=True),
            width=8,
            height=10,
        ),
        graph(
            "How many days are left?",
            f"At each moment, by the trend of the 7 days before it; {FARTHEST_DAYS} at most.",
            DAYS,
            query(DAYS_LEFT, HOST),
            steps=((None, "red"), (7, "orange"), (30, "transparent")),
        ),
        graph(
            "How fast does it grow?",
            "Growth a day, by the trend of the 7 days before each moment.",
            BYTES,
            query(GROWTH_PER_DAY, HOST),
            least=None,
        ),
    ]


def sizing() -> list:
    return [
        graph(
            "How large does a worker get?",
            "The largest worker of each app, and its peak of the 7 days before each moment.",
            BYTES,
            query(LARGEST_WORKER, "{{app}} " + HOST),
            query(PEAK_OF_WORKER, "7-day peak {{app}} " + HOST),
        ),
        bars(
            "What was the peak of each worker?",
            "The most that was ever resident in each process that lives now, the ten largest.",
            BYTES,
            query(
                f"topk(10, {process('process_resident_memory_peak_bytes')})", WORKER, instant=True
            ),
        ),
        graph(
            "How much is lost to fragmentation?",
            "Arena bytes that are held and not live, by app.",
            BYTES,
            query(LOST, "{{app}} " + HOST),
        ),
        graph(
            "How much do the apps hold?",
            "RSS of all processes of an app, added up; shared memory counted in each.",
            BYTES,
            query(RESIDENT, "{{app}} " + HOST),
            stacked=True,
        ),
    ]


def dashboard():
    return board(
        "pymalloc-capacity",
        "Python memory: capacity",
        "How long the memory lasts, how many workers fit, what limit to ask for. Shows recorded "
        "series: load grafana/rules/recording.yml.",
        "30d",
        [("Answers", answers), ("Use and limit", use), ("Sizing", sizing)],
        apps="instance_app:process_resident_memory_bytes:sum",
    )
