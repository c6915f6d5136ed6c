"""The hub: which files a repository of Hugging Face has, and their bytes.

`HF_ENDPOINT`, `HF_TOKEN` and the other variables of `huggingface_hub` are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from presets import installation
from presets.fetching.repository import HubFile, PullError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

#: How long the hub may take for the list of a repository's files.
_LIST_WITHIN_S = 20.0
#: What is read of a file to see what it is.
BEGINNING_BYTES = 2**20


class _Enough(Exception):
    """The beginning is there: a server that knows no ranges would send the rest."""


class _Beginning(BytesIO):
    """Takes a file's first bytes, and ends what sends them after that."""

    def write(self, data: Any) -> int:
        written = super().write(data)
        if self.tell() >= BEGINNING_BYTES:
            raise _Enough
        return written


class Hub:
    """One hub, asked with the token that `huggingface_hub` finds."""

    def __init__(self, endpoint: str | None = None) -> None:
        """`endpoint` instead of `HF_ENDPOINT`.

        Raises:
            PullError: huggingface_hub is not installed, or `HF_ENDPOINT` is no address.
        """
        try:
            from huggingface_hub import constants, utils
        except ImportError:
            raise PullError(
                f"fetching needs huggingface_hub: {installation.command('pull')}"
            ) from None
        except ValueError as error:
            raise PullError(f"HF_ENDPOINT is no address of a hub: {error}") from None
        self.endpoint = endpoint or constants.ENDPOINT
        # Its warnings hold whole signed addresses; PullError says what matters of them, and
        # the caller shows the progress.
        utils.logging.set_verbosity_error()
        utils.disable_progress_bars()

    def files(self, repo: str) -> tuple[HubFile, ...]:
        """The files of a repository's main branch.

        Raises:
            PullError: the hub cannot be reached, or does not show them.
        """
        from huggingface_hub import HfApi

        with self._explained(repo):
            api = HfApi(endpoint=self.endpoint)
            info = api.model_info(repo, files_metadata=True, timeout=_LIST_WITHIN_S)
            return tuple(
                HubFile(
                    repo=repo,
                    revision=info.sha or "main",
                    name=entry.rfilename,
                    size_bytes=entry.size or 0,
                    sha256=entry.lfs.sha256 if entry.lfs else None,
                    git_oid=entry.blob_id or "",
                )
                for entry in info.siblings or ()
            )

    def read(self, file: HubFile, into: BinaryIO, at_bytes: int) -> None:
        """Write a file's bytes from `at_bytes` on after those that `into` has.

        A connection that breaks is taken up again where it broke, a few times. A server that
        cannot begin in the middle sends all of it: `into` is then cut to nothing first.

        Raises:
            PullError: the hub cannot be reached any more, or refuses.
            OSError: the file cannot be written.
        """
        self._get(file, into, resume_size=at_bytes, expected_size=file.size_bytes)

    def beginning(self, file: HubFile) -> bytes:
        """The first megabyte of a file, which says what is in it.

        Raises:
            PullError: the hub cannot be reached, or refuses.
        """
        size = min(file.size_bytes, BEGINNING_BYTES)
        if not size:
            return b""
        into = _Beginning()
        try:
            with suppress(_Enough):
                self._get(file, into, {"Range": f"bytes=0-{size - 1}"}, expected_size=size)
        except OSError:
            raise PullError(f"the hub sends {file.name} with another length than it says") from None
        return into.getvalue()[:size]

    def _get(
        self, file: HubFile, into: BinaryIO, headers: dict[str, str] | None = None, **options: Any
    ) -> None:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        # Compressed bytes could not be taken up again in the middle.
        sent = {**build_hf_headers(), "Accept-Encoding": "identity", **(headers or {})}
        with self._explained(file.repo):
            address = hf_hub_url(
                file.repo, file.name, revision=file.revision, endpoint=self.endpoint
            )
            http_get(address, into, headers=sent, **options)

    @contextmanager
    def _explained(self, repo: str) -> Iterator[None]:
        """Errors of the hub's client as one line for a person."""
        import httpx2
        from huggingface_hub import errors

        try:
            yield
        except errors.OfflineModeIsEnabled:
            raise PullError("HF_HUB_OFFLINE is set: nothing is fetched") from None
        except errors.HFValidationError as error:
            raise PullError(f"{repo!r} is no repository of a hub: {error}") from None
        except errors.HfHubHTTPError as error:
            raise PullError(self._refusal(repo, error)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise PullError(
                f"the hub at {self.endpoint} cannot be reached: {reason}. Is this machine online? "
                "HF_ENDPOINT names another hub"
            ) from None
        except ValueError as error:
            raise PullError(f"{self.endpoint} does not answer as a hub does: {error}") from None

    def _refusal(self, repo: str, error: HfHubHTTPError) -> str:
        from huggingface_hub import errors, get_token

        status = error.response.status_code
        token = get_token()
        to_set = f"set HF_TOKEN to a token of yours ({self.endpoint}/settings/tokens)"
        if isinstance(error, errors.GatedRepoError):
            then = "your HF_TOKEN has no access to it" if token else to_set
            return f"{repo} is gated: accept its terms at {self.endpoint}/{repo}; {then}"
        if status in (401, 403):
            if token:
                return f"the hub does not let your HF_TOKEN see {repo} ({status}); is it valid?"
            return f"the hub shows no {repo} ({status}): if it is private or gated, {to_set}"
        if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
            return f"the hub at {self.endpoint} has no {repo}, or not this file of it (404)"
        if status == 429:
            return "the hub is asked too often from here (429); try again later"
        return f"the hub at {self.endpoint} answers {status}; try again later"
