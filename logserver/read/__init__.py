"""Stored lines as they are asked for: pages, counts, context, rejects."""
