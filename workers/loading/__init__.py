"""Loading: which models are in memory, decided by the keeper and obeyed by workers and `up`."""
