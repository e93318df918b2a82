"""Prometheus recording rules and alerts, as data; `python -m dashboards.alerts.generate` writes `dashboards/rules/`."""
