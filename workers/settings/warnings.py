"""What an operator should know of settings that can be used all the same."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from workers.cluster.supervision import SUPERVISOR
from workers.settings.reading import ENV_FILE, read_env_file
from workers.settings.table import Settings, variables

#: Variables of this family that are not settings: they pass between our own processes.
INTERNAL = frozenset({SUPERVISOR})
#: A key that is shorter can be guessed; `inference-service keys add` makes keys of 43.
_SHORTEST_KEY = 16


def warnings(
    settings: Settings, environ: Mapping[str, str], env_file: Path | None = ENV_FILE
) -> list[str]:
    """One sentence for each thing to know, for start-up to print."""
    return [
        *_of_names({*environ, *read_env_file(env_file)}),
        *_of_access(settings),
        *_of_loading(settings),
        *_of_unused(settings),
    ]


def misspelt(names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """`INFERENCE_*` names that no setting has, each with the nearest that one has."""
    known = {variable.name for _, variable, _ in variables()}
    # The prefix, which all share, would make everything look alike.
    endings = [name.removeprefix("INFERENCE_") for name in known if name.startswith("INFERENCE_")]
    for name in sorted(names):
        if name.startswith("INFERENCE_") and name not in known | INTERNAL:
            ending = name.removeprefix("INFERENCE_")
            near = difflib.get_close_matches(ending, endings, n=1, cutoff=0.6)
            yield name, f"INFERENCE_{near[0]}" if near else None


def _of_names(names: Iterable[str]) -> Iterator[str]:
    for name, near in misspelt(names):
        hint = f"; did you mean {near}?" if near else ""
        yield f"there is no setting {name}{hint}"


def _of_access(settings: Settings) -> Iterator[str]:
    if settings.is_open and not settings.has_keys:
        yield (
            f"INFERENCE_HOST={settings.effective_host} is open to the network and no API keys "
            "exist: whoever reaches it can use it. Make one with: inference-service keys add NAME"
        )
    if "*" in settings.cors_origins and not settings.has_keys:
        yield (
            "INFERENCE_CORS_ORIGINS=* without API keys: every web page that a browser on this "
            "machine opens can use the service"
        )
    if "*" in settings.allowed_hosts and not settings.has_keys:
        yield (
            "INFERENCE_ALLOWED_HOSTS=* without API keys: a web page whose name points at this "
            "machine can use the service"
        )
    for variable, keys in (
        ("INFERENCE_API_KEYS", settings.api_keys),
        ("INFERENCE_ADMIN_KEYS", settings.admin_keys),
    ):
        if any(len(key) < _SHORTEST_KEY for key in keys):
            yield f"{variable} has a key of fewer than {_SHORTEST_KEY} characters"


def _of_loading(settings: Settings) -> Iterator[str]:
    if settings.idle_unload_s and not settings.load_on_demand:
        yield (
            f"INFERENCE_IDLE_UNLOAD_S={settings.idle_unload_s:g} with "
            "INFERENCE_LOAD_ON_DEMAND=false: a model that was unloaded comes back only when "
            "somebody loads it"
        )


def _of_unused(settings: Settings) -> Iterator[str]:
    for name, variable, _ in variables():
        chosen = settings.sources.get(name, "default") != "default"
        if chosen and variable.used_from:
            yield (
                f"{variable.name} is set and changes nothing yet: used from {variable.used_from} on"
            )
