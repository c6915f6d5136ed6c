"""Where the front end is, and what it says of the models: all answer, or only some, or none yet."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.settings import Settings

#: The way to our own front end, past every proxy that the environment names.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_ANSWERS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests are answered."""

    #: Every model that is wanted has been loaded.
    is_whole: bool
    #: What is waited for.
    reason: str = ""
    #: Models that answer, where none of the others is still being loaded.
    serving: tuple[str, ...] = ()
    #: Why each of the others does not.
    failed: Mapping[str, str] = field(default_factory=dict)


def address(settings: Settings) -> str:
    """Where a client on this machine finds the front end."""
    host = settings.effective_host
    if host in ("0.0.0.0", "::"):  # nosec B104 # compared, not listened on
        host = "127.0.0.1"
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def read(url: str) -> Readiness:
    """Ask the front end at this address; that it does not answer is a reason, too."""
    try:
        with _DIRECT.open(f"{url}/health/ready", timeout=_ANSWERS_WITHIN_S):
            return Readiness(is_whole=True)
    except urllib.error.HTTPError as error:
        try:
            return of_body(json.load(error))
        except ValueError:
            return Readiness(is_whole=False, reason=f"the front end answers {error.code}")
    except OSError:
        return Readiness(is_whole=False, reason="the front end is starting")


def of_body(body: Mapping[str, Any]) -> Readiness:
    """What a body of `/health/ready` says that is not ready."""
    reason = f"{body.get('reason', 'not ready')} [{body.get('progress', '')}]"
    models = body.get("models", [])
    serving = tuple(model["id"] for model in models if model["status"] == "loaded")
    failed = {
        model["id"]: model["error"]["message"] for model in models if model["status"] == "failed"
    }
    if len(serving) + len(failed) < len(models):  # the rest may still come
        serving = ()
    return Readiness(is_whole=False, reason=reason, serving=serving, failed=failed)
