"""The exporter: per-pod CPU, memory and GPU use and per-model latency as Prometheus metrics."""
