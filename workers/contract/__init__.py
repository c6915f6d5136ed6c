"""What every process agrees on: jobs, events, Redis keys, errors. Standard library only."""
