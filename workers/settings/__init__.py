"""What an operator sets: read once at start-up into one frozen dataclass.

The table below is the only place that names a variable, its default, its kind and its meaning;
`inference-service config`, `docs/SETTINGS.md` and `.env.example` are made from it.
"""

from workers.settings.reading import Problem, SettingsError, read
from workers.settings.table import Settings

__all__ = ["Problem", "Settings", "SettingsError", "read"]
