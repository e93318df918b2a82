"""The variables on top of every dashboard: data source, job, instance, and what a dashboard is narrowed by.

Each one narrows the next. All are refreshed when the time range changes, so that a model that is gone can be looked at.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")
LOGS_PLUGIN = "yesoreyeram-infinity-datasource"
LOGS = DataSourceRef(type_val=LOGS_PLUGIN, uid="${logs}")


def datasource() -> DatasourceVariable:
    """Return the choice of the Prometheus."""
    return DatasourceVariable("datasource").label("Data Source").type("prometheus")


def logs_source() -> DatasourceVariable:
    """Return the choice of the Infinity data source whose base URL is the log-server."""
    return DatasourceVariable("logs").label("Log-server").type(LOGS_PLUGIN)


def choice(
    name: str, query: str, *, label: str | None = None, several: bool = True, everything: str = ".*"
) -> QueryVariable:
    """Return a variable filled by a `label_values()` query; with `several`, many values, or all as `everything`.

    All is `.*`, not `.+`: a pod that serves no model has an empty model, a Seldon v2 server an empty predictor.
    """
    built = (
        QueryVariable(name)
        .label(label or name)
        .datasource(PROMETHEUS)
        .query({"query": query, "refId": "StandardVariableQuery"})
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(several)
    )
    if several:
        built.include_all(True).all_value(everything).current(VariableOption(text="All", value="$__all"))
    return built


def job(metric: str) -> QueryVariable:
    """Return the scrape jobs that serve this metric."""
    return choice("job", f"label_values({metric}, job)", everything=".+")


def instance(metric: str) -> QueryVariable:
    """Return the scraped instances of the chosen jobs."""
    return choice("instance", f'label_values({metric}{{job=~"$job"}}, instance)', everything=".+")


EXPORTERS = "milepost_exporter_build_info"
LOG_SERVERS = "milepost_logserver_build_info"
DUBBO_ENTRIES = "milepost_dubbo_build_info"
MODELS = "milepost_model_replicas_wanted"


def namespace(*, several: bool = True) -> QueryVariable:
    """Return the namespaces that have models."""
    return choice("namespace", f'label_values({MODELS}{{job=~"$job"}}, namespace)', several=several)


def model(*, several: bool = True) -> QueryVariable:
    """Return the models of the chosen namespaces."""
    query = f'label_values({MODELS}{{job=~"$job",namespace=~"$namespace"}}, model)'
    return choice("model", query, several=several)


def predictor(name: str = "predictor", *, label: str | None = None, several: bool = True) -> QueryVariable:
    """Return the predictors of the chosen models."""
    query = f'label_values({MODELS}{{job=~"$job",namespace=~"$namespace",model=~"$model"}}, predictor)'
    return choice(name, query, label=label, several=several)


def node() -> QueryVariable:
    """Return the nodes that have cards."""
    return choice("node", 'label_values(milepost_node_gpu_capacity_cards{job=~"$job"}, node)')


def place(metric: str) -> QueryVariable:
    """Return the namespaces in which the program runs that serves this metric; only the Prometheus operator names them.

    It is not called `namespace`: the links between the dashboards hand that on, and elsewhere it is a model's.
    """
    return choice("place", f'label_values({metric}{{job=~"$job"}}, namespace)', label="namespace")


def interface(metric: str) -> QueryVariable:
    """Return the services of Dubbo that were called, by their interfaces."""
    query = f'label_values({metric}{{job=~"$job",instance=~"$instance",namespace=~"$place"}}, interface)'
    return choice("interface", query, label="service")
