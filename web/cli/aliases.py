"""Other names of commands: those that users of Ollama, git and Kubernetes type."""

from __future__ import annotations

#: Other name -> the words of the command.
ALIASES: dict[str, tuple[str, ...]] = {
    "ls": ("models", "list"),
    "serve": ("up",),
    "stop": ("unload",),
}
