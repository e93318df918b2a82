"""What is remembered between scrapes: counts of requests, and the last 15 minutes."""
