"""What the figures are read from: kubelet, API server, model servers, ingress, cards, peers."""
