"""Grafana dashboards and Prometheus rules, generated from Python."""
