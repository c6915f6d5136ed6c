"""Evaluation: whether a preset answers a set of questions better than one model alone does.

Talks to a running service through its jobs API; knows neither Redis nor Celery.
"""
