"""Milepost: logs, metrics and rollouts for every model served on Kubernetes.

This package holds the `milepost` command and the few things its three programs share. The programs
(`logserver`, `exporter`, `deploy`) never import each other.
"""

__version__ = "0.1.0"
