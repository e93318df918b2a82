"""The HTTP API: routes of a few lines over the modules that read."""
