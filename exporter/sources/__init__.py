"""The pages of other programs (model servers, ingress-nginx, GpuManager, dcgm-exporter): bytes in, figures out."""
