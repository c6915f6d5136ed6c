"""What an operator sets: read once at start-up into one frozen dataclass.

The tables, one module for each subject, are the only place that names a variable, its default, its
kind and its meaning; `inference-service config`, `docs/SETTINGS.md` and `.env.example` are made
from them.
"""

from workers.settings.problems import Problem, SettingsError
from workers.settings.reading import read
from workers.settings.table import Settings
from workers.settings.warnings import warnings

__all__ = ["Problem", "Settings", "SettingsError", "read", "warnings"]
