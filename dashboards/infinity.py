"""Log lines in a dashboard: the log-server's HTTP API through Grafana's Infinity data source.

The generator knows no Infinity query, so `LogQuery` writes it; its keys are those of
grafana/grafana-infinity-datasource `src/types/query.types.ts`. The columns `timestamp`, `body` and `severity` are the
names by which Grafana's logs panel knows a line's parts.
"""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders import logs
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common

from dashboards.panels import PanelBuilder
from dashboards.variables import LOGS, LOGS_PLUGIN


class LogQuery(Dataquery):
    """A GET of the log-server: path, parameters, where the lines are in the answer, and their columns."""

    def __init__(self, url: str, params: Mapping[str, str], root: str, columns: Mapping[str, tuple[str, str]]) -> None:
        self.url = url
        self.params = params
        self.root = root
        self.columns = columns

    def to_json(self) -> dict[str, object]:
        """Return the query as Grafana stores it."""
        return {
            "refId": "A",
            "datasource": {"type": LOGS_PLUGIN, "uid": "${logs}"},
            "type": "json",
            "source": "url",
            "format": "logs",
            "parser": "backend",
            "url": self.url,
            "url_options": {
                "method": "GET",
                "params": [{"key": key, "value": value} for key, value in self.params.items()],
            },
            "root_selector": self.root,
            "columns": [
                {"selector": selector, "text": text, "type": kind} for selector, (text, kind) in self.columns.items()
            ],
        }


class _LogQueryBuilder(Builder[Dataquery]):
    def __init__(self, query: LogQuery) -> None:
        self.query = query

    def build(self) -> Dataquery:
        return self.query


def log_lines(title: str, description: str, query: LogQuery, *, height: int = 14) -> PanelBuilder:
    """Return a panel of log lines, newest first."""
    return (
        logs.Panel()
        .title(title)
        .description(description)
        .datasource(LOGS)
        .height(height)
        .span(24)
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(common.LogsSortOrder.DESCENDING)
        .with_target(_LogQueryBuilder(query))
    )
