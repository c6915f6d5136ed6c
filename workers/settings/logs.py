"""Settings of logs: what is in them, how it looks, and how large they become."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """What the processes log, and what `up` keeps of it."""

    log_level: str = setting(
        "INFERENCE_LOG_LEVEL",
        "INFO",
        kinds.choice(*kinds.LOG_LEVELS),
        "The lowest severity of log lines that are shown.",
    )
    log_levels: tuple[str, ...] = setting(
        "INFERENCE_LOG_LEVELS",
        (),
        kinds.log_levels(),
        "Levels of single modules, in place of INFERENCE_LOG_LEVEL. A module's level holds for "
        "what is in it, too.",
    )
    log_format: str = setting(
        "INFERENCE_LOG_FORMAT",
        "console",
        kinds.choice("console", "json"),
        "Format of log lines.",
    )
    log_prompts: bool = setting(
        "INFERENCE_LOG_PROMPTS",
        False,
        kinds.BOOLEAN,
        "Log the messages of every accepted request. While false no text of a caller is logged.",
    )
    log_max_mb: int = setting(
        "INFERENCE_LOG_MAX_MB",
        20,
        kinds.integer(1, 10_000),
        "Megabytes of one process's log that `up` writes. A log that has grown larger begins anew, "
        "and the one before it is kept beside it.",
    )
