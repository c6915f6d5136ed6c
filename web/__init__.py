"""What people talk to: HTTP in, events out; the only place that knows status codes."""

from importlib import metadata

from presets.installation import DISTRIBUTION

try:
    __version__ = metadata.version(DISTRIBUTION)
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
