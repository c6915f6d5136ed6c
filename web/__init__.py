"""What people talk to: HTTP in, events out; the only place that knows status codes."""

from presets import installation

__version__ = installation.version()
