"""Calls on a model's worker: what each name means, and the threads that answer."""
