"""What all dashboards have alike: identifier, tags, time range, links to each other, the data source variable."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType

from dashboards import variables

TAG = "milepost"


def framed(title: str, uid: str, description: str) -> Dashboard:
    """Return an empty dashboard in the house's frame; it cannot be edited, since it is generated."""
    links = (
        DashboardLink("Milepost")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    return (
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
        .with_variable(variables.datasource())
    )
