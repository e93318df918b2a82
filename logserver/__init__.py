"""The log-server: Filebeat documents from Kafka, indexed in ClickHouse, searched and followed over HTTP."""
