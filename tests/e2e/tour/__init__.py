"""The scripted tour: a model starts to fail, and everything that people look at shows it, on real parts.

`python -m tests.e2e.tour --pictures DIR` runs it by itself and keeps the pictures; `tests/e2e/test_tour.py` holds what
it saw against what was promised.

Real are Kafka, etcd and kube-apiserver with kwok's nodes, the log-server, the exporter in both modes, Prometheus with
the shipped rules and the jobs of docs/alerts.md, Alertmanager with the shipped example, and Chromium. Played are what
they watch: the model's pods (their executor's pages, and the documents that Filebeat would send), the kubelet's pages,
ingress-nginx's and GpuManager's, and the GPU driver's library.
"""
