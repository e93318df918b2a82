"""How far behind Kafka the store is: measured, shown in the status and the metrics, and told to Kafka for lag tools.

The lag counts what is not *stored*, by asking the brokers for the end of each partition: while the store is down
nothing is fetched, and yet the lag grows. It also shows whether the brokers answer at all, which a consumer that waits
for documents does not say.
"""

from __future__ import annotations

import asyncio
import logging

from logserver.errors import Transient
from logserver.ingest.kafka import KafkaSource
from logserver.metrics import Metrics
from logserver.record import TopicPartition
from logserver.status import Status

log = logging.getLogger(__name__)


class LagReport:
    """Measures at every interval; partitions given to another replica vanish from the metrics."""

    def __init__(self, source: KafkaSource, status: Status, metrics: Metrics) -> None:
        self._source = source
        self._status = status
        self._metrics = metrics

    async def run(self, interval_s: float) -> None:
        """Report until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            await self._source.commit(self._status.positions)
            await self._measure()
            self._metrics.gauge("last_progress_timestamp_seconds").set(self._status.last_progress_s)

    async def _measure(self) -> None:
        try:
            lag = await self._source.lag(self._status.positions)
        except Transient as error:
            if str(error) != self._status.kafka_problem:
                log.warning("no documents come: %s", error)
            self._status.kafka_problem = str(error)
            return
        if self._status.kafka_problem:
            log.warning("Kafka answers again")
        self._status.kafka_problem = ""
        self._show(lag)

    def _show(self, lag: dict[TopicPartition, int]) -> None:
        for gone in self._status.lag.keys() - lag.keys():
            self._metrics.drop("consumer_lag", gone.topic, str(gone.partition))
        for place, behind in lag.items():
            self._metrics.gauge("consumer_lag", place.topic, str(place.partition)).set(behind)
        self._status.lag = lag
