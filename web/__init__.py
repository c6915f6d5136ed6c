"""What people talk to: HTTP in, events out; the only place that knows status codes."""
