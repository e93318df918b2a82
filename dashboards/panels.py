"""Panels in this house's style: every one has a title, a description, a unit and its data source.

A `Query` is a PromQL expression with its legend; a table's columns are queries joined by their labels. Log lines are in
`dashboards/infinity.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Panel,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.variables import PROMETHEUS

PanelBuilder = Builder[Panel]
GOOD, CAREFUL, BAD = "green", "orange", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, the instant query of its values, its unit and from where on it is bad."""

    heading: str
    expr: str
    unit: str
    bad_from: float | None = None


def figure(
    title: str, description: str, unit: str, expr: str, *, steps: Sequence[tuple[float, str]] = ()
) -> PanelBuilder:
    """Return one big number with its history behind it; `steps` are (from, colour) above green."""
    colours = [Threshold(value=None, color=GOOD), *(Threshold(value=value, color=colour) for value, colour in steps)]
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(4)
        .span(4)
        .with_target(_query(Query(expr), 0))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(colours))
        .color_mode(common.BigValueColorMode.VALUE if steps else common.BigValueColorMode.NONE)
        .graph_mode(common.BigValueGraphMode.AREA)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def lines(
    title: str, description: str, unit: str, *queries: Query, span: int = 12, stacked: bool = False, top: float = 0
) -> PanelBuilder:
    """Return a time series panel; `top` is the least height of its axis (1 for ratios that have a natural end)."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(8)
        .span(span)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 10)
        .show_points(common.VisibilityMode.NEVER)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )  # fmt: skip
    if top:
        panel.axis_soft_max(top)
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    for index, query in enumerate(queries):
        panel.with_target(_query(query, index))
    return panel


def states(title: str, description: str, query: Query, *, colours: Mapping[str, str], span: int = 12) -> PanelBuilder:
    """Return bars over time of series that are 1 while their state holds."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit("none")
        .height(8)
        .span(span)
        .show_value(common.VisibilityMode.NEVER)
        .row_height(0.8)
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(
            dashboard.ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value=None, color="transparent"), Threshold(value=1, color=GOOD)])
        )
        .with_target(_query(query, 0))
    )
    for pattern, colour in colours.items():
        steps = [{"value": None, "color": "transparent"}, {"value": 1, "color": colour}]
        panel.override_by_regexp(
            pattern, [DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps})]
        )
    return panel


def heat(title: str, description: str, expr: str, *, span: int = 12) -> PanelBuilder:
    """Return a heatmap of a classic histogram's buckets, in seconds."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit("reqps")
        .height(8)
        .span(span)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .color(heatmap.HeatmapColorOptions().scheme("Oranges").steps(32).min(0))
        .with_target(_query(Query(expr, "{{le}}"), 0).format(PromQueryFormat.HEATMAP))
    )


def table_of(
    title: str,
    description: str,
    keys: Sequence[str],
    *columns: Column,
    span: int = 24,
    height: int = 9,
    link: tuple[str, str] | None = None,
) -> PanelBuilder:
    """Return a table with one row per combination of the label `keys`; `link` is (title, URL) on the last key."""
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit("none")
        .height(height)
        .span(span)
        .filterable(True)
        .cell_height(common.TableCellHeight.SM)
    )
    for index, column in enumerate(columns):
        panel.with_target(_query(Query(column.expr), index).instant().format(PromQueryFormat.TABLE))
        panel.override_by_name(column.heading, _looks_of(column))
    if link:
        panel.override_by_name(
            keys[-1], [DynamicConfigValue(id_val="links", value=[{"title": link[0], "url": link[1]}])]
        )
    # Grafana calls a lone query's values `Value`, and those of several `Value #A`, `Value #B`...
    names = ["Value"] if len(columns) == 1 else [f"Value #{_ref(index)}" for index in range(len(columns))]
    order = {name: index for index, name in enumerate([*keys, *names])}
    renamed = {name: column.heading for name, column in zip(names, columns, strict=True)}
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    return panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renamed},
        )
    )


def _looks_of(column: Column) -> list[DynamicConfigValue]:
    looks = [DynamicConfigValue(id_val="unit", value=column.unit)]
    if column.bad_from is not None:
        steps = [{"value": None, "color": GOOD}, {"value": column.bad_from, "color": BAD}]
        looks.append(DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps}))
        looks.append(DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}))
    return looks


def _query(query: Query, index: int) -> prometheus.Dataquery:
    built = prometheus.Dataquery().datasource(PROMETHEUS).expr(query.expr).ref_id(_ref(index)).range()
    return built.legend_format(query.legend) if query.legend else built


def _ref(index: int) -> str:
    return chr(ord("A") + index)
