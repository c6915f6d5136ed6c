"""Which model answers a request: by its name, or by role among those that are loaded."""
