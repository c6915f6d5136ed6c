"""A worker's process: it takes steps, runs them on its engine, and ends."""
