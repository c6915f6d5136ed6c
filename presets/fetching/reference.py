"""How people name a model of the hub: `hf.co/<user>/<repo>:<quantisation>`, and its other forms.

The forms are those of Ollama (`hf.co/...`), of llama.cpp's `-hf` (no host), and of a page's address
in a browser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from presets.fetching.repository import PullError

_HOST = re.compile(r"(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/", re.IGNORECASE)
#: Below a repository's address, in a browser: what stands before a file's path.
_FILE_PAGES = ("blob", "resolve")
_BRANCH = "main"
#: Ollama's word for a model whose quantisation nobody names.
_LATEST = "latest"
#: The longest name that is looked at; a repository's has at most 96 characters, a file's 255.
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Reference:
    """A model in a repository of the hub."""

    repo: str
    #: A quantisation such as `Q4_K_M`, or a file's path in the repository; None: whichever is best.
    variant: str | None = None


def is_reference(name: str) -> bool:
    """Whether a name is one of the hub's: those of the catalogue have no slash."""
    return "/" in name


def parse(name: str) -> Reference:
    """Read a model's name on the hub.

    Raises:
        PullError: it names no repository.
    """
    path = _HOST.sub("", name, count=1).partition("?")[0].strip("/")
    if len(name) > _LONGEST or not name.isprintable() or "://" in path:
        raise _wrong(name)
    repo, colon, variant = path.partition(":")
    user, _, rest = repo.partition("/")
    title, *page = rest.split("/")
    if page and not colon:
        variant = _of_page(name, page)
    elif page or (colon and not variant):
        raise _wrong(name)
    if not user or not title or ".." in (user, title):
        raise _wrong(name)
    return Reference(f"{user}/{title}", None if variant.lower() in ("", _LATEST) else variant)


def _of_page(name: str, page: list[str]) -> str:
    """The file that a page below a repository shows; empty where it shows the repository itself."""
    if page == ["tree", _BRANCH]:
        return ""
    if len(page) > 2 and page[0] in _FILE_PAGES and page[1] == _BRANCH:
        return "/".join(page[2:])
    raise _wrong(name)


def _wrong(name: str) -> PullError:
    return PullError(
        f"{name[:100]!r} is no repository of a hub, such as hf.co/user/repo or "
        "hf.co/user/repo:Q4_K_M"
    )
