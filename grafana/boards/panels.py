"""The panels' looks. Each takes a title, a description, a unit and queries."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge, common, heatmap, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as built
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as model
from grafana_foundation_sdk.models import dashboard, units
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from .queries import DATASOURCE

BYTES = units.BytesIEC
SHARE = units.PercentUnit
COUNT = units.Short
RATIO = "suffix:x"

# Where a colour begins, from the lowest: (None, "green"), (0.8, "orange"), …
Steps = Sequence[tuple[float | None, str]]
NEUTRAL: Steps = ((None, "blue"),)


def thresholds(steps: Steps) -> built.ThresholdsConfig:
    made = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return built.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(made)


def _common(panel, title, description, unit, queries, width, height):
    panel = panel.title(title).description(description).unit(unit).datasource(DATASOURCE)
    panel = panel.span(width).height(height)
    for index, one in enumerate(queries):
        panel = panel.with_target(one.ref_id(chr(ord("A") + index)))
    return panel


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def figure(
    title: str,
    description: str,
    unit: str,
    *queries: Dataquery,
    steps: Steps = NEUTRAL,
    width: int = 4,
    height: int = 4,
    decimals: int | None = None,
    none: str = "none",
) -> stat.Panel:
    """One figure, coloured by its steps; `none` is shown where there is no such series."""
    panel = _common(stat.Panel(), title, description, unit, queries, width, height)
    panel = panel.thresholds(thresholds(steps)).reduce_options(_last()).no_value(none)
    panel = panel.color_mode(model.BigValueColorMode.VALUE)
    panel = panel.graph_mode(model.BigValueGraphMode.NONE)
    panel = panel.justify_mode(model.BigValueJustifyMode.AUTO)
    return panel if decimals is None else panel.decimals(decimals)


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Dataquery,
    steps: Steps = (),
    stacked: bool = False,
    width: int = 12,
    height: int = 8,
    least: float | None = 0,
) -> timeseries.Panel:
    """Lines over time; stacked where they are parts of a whole. Steps are drawn as lines."""
    panel = _common(timeseries.Panel(), title, description, unit, queries, width, height)
    panel = panel.line_width(1).fill_opacity(45 if stacked else 0)
    panel = panel.show_points(model.VisibilityMode.NEVER)
    panel = panel.color_scheme(built.FieldColor().mode("palette-classic"))
    legend = common.VizLegendOptions().show_legend(True).placement(model.LegendPlacement.BOTTOM)
    panel = panel.legend(legend.display_mode(model.LegendDisplayMode.LIST).calcs([]))
    tooltip = common.VizTooltipOptions().mode(model.TooltipDisplayMode.MULTI)
    panel = panel.tooltip(tooltip.sort(model.SortOrder.DESCENDING))
    if stacked:
        stacking = common.StackingConfig().mode(model.StackingMode.NORMAL).group("A")
        panel = panel.stacking(stacking)
    if steps:
        style = common.GraphThresholdsStyleConfig().mode(model.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(thresholds(steps)).thresholds_style(style)
    return panel if least is None else panel.min(least)


def bars(
    title: str,
    description: str,
    unit: str,
    *queries: Dataquery,
    steps: Steps = NEUTRAL,
    width: int = 12,
    height: int = 8,
    most: float | None = None,
) -> bargauge.Panel:
    """One bar a series, as it is now."""
    panel = _common(bargauge.Panel(), title, description, unit, queries, width, height)
    panel = panel.thresholds(thresholds(steps)).reduce_options(_last()).min(0)
    panel = panel.orientation(model.VizOrientation.HORIZONTAL)
    panel = panel.display_mode(model.BarGaugeDisplayMode.BASIC).show_unfilled(True)
    panel = panel.value_mode(model.BarGaugeValueMode.TEXT)
    return panel if most is None else panel.max(most)


def heat_map(
    title: str,
    description: str,
    unit: str,
    *queries: Dataquery,
    width: int = 24,
    height: int = 9,
) -> heatmap.Panel:
    """One row a series, in the order of the legends. The bands are not cumulative, so the rows
    are drawn as they come: nothing is calculated from them."""
    panel = _common(heatmap.Panel(), title, description, unit, queries, width, height)
    color = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("YlOrRd")
    panel = panel.calculate(False).color(color.steps(64).reverse(False)).cell_gap(1)
    return panel.show_legend().show_value(model.VisibilityMode.NEVER)
