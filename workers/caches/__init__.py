"""Caches: what was made once and may be made again. Losing any of it costs time, nothing else."""
