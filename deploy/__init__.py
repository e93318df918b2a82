"""The model platform: deploy, route, roll out and explain models through the Kubernetes API."""
