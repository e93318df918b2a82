"""The demonstration: an embedded Kafka-compatible broker, the log-server, and model servers that print logs."""
