"""What people talk to: HTTP in, events out; the only place that knows status codes."""

from importlib import metadata

try:
    __version__ = metadata.version("inference-service")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
