"""Metrics: what processes count, how that comes together in Redis, and what is shown."""
