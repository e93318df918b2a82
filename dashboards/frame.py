"""What all dashboards have alike: identifier, tags, time range, links to each other, variables, rows of panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, VariableModel

from dashboards import variables
from dashboards.panels import PanelBuilder

TAG = "milepost"


def framed(
    title: str,
    uid: str,
    description: str,
    *chosen: Builder[VariableModel],
    rows: Mapping[str, Sequence[PanelBuilder]],
) -> Dashboard:
    """Return a dashboard in the house's frame, narrowed by the `chosen` variables; `rows` are titles and their panels.

    It cannot be edited, since it is generated.
    """
    links = (
        DashboardLink("Milepost")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    board = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .link(links)
    )
    for variable in (variables.datasource(), *chosen):
        board.with_variable(variable)
    for row, panels in rows.items():
        board.with_row(Row(row))
        for panel in panels:
            board.with_panel(panel)
    return board
