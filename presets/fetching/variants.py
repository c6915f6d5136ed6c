"""The models that a repository holds as GGUF files: one for each quantisation, as a rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from presets.fetching.repository import HubFile, PullError, listed
from presets.weights import split

#: A quantisation within a file's or a folder's name, as llama.cpp and those who publish spell them.
_QUANTISATION = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|B?F16|FP16|F32|FP32|MXFP\d\w*|NVFP\d\w*))(?=$|[-._])",
    re.IGNORECASE,
)
#: The default of Ollama and llama.cpp, and after it what is nearest in size and quality.
_PREFERRED = ("Q4_K_M", "UD-Q4_K_M", "Q4_K_S", "UD-Q4_K_XL", "Q4_0", "Q5_K_M", "Q6_K", "Q8_0")
#: Unsloth's mark of a mixture of its own, which people leave out.
_DYNAMIC = "UD-"
#: Words in the names of files that are no models of their own, and what such a file is.
_COMPANIONS = {
    "mmproj": "a projector of images or sound",
    "imatrix": "an importance matrix",
    "lora": "an adapter (LoRA)",
    "adapter": "an adapter (LoRA)",
    "vocab": "a vocabulary",
}
_COMPANION = re.compile(rf"(?:^|[-._/])({'|'.join(_COMPANIONS)})(?=$|[-._/])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Variant:
    """One model of a repository: one file, or all parts of a split one."""

    #: Path of the file in the repository, of a split one that of its first part.
    name: str
    #: Upper case, e.g. `Q4_K_M`; None where the name has none.
    quantisation: str | None
    size_bytes: int

    @property
    def shown(self) -> str:
        """What chooses it, and its size."""
        return f"{self.quantisation or self.name} ({self.size_bytes / 1e9:.2f} GB)"


def variants(files: Iterable[HubFile]) -> tuple[Variant, ...]:
    """The chat models among a repository's files, by their names; the smallest first."""
    sizes: dict[str, int] = {}
    for file in files:
        # A name goes to the terminal and to the disk: one that would do something there is none.
        if file.name.isprintable() and _is_gguf(file.name) and companion(file.name) is None:
            first = str(PurePosixPath(file.name).with_name(split.first_part(file.local_name)))
            sizes[first] = sizes.get(first, 0) + file.size_bytes
    found = [Variant(name, _quantisation(name), size) for name, size in sizes.items()]
    return tuple(sorted(found, key=lambda variant: (variant.size_bytes, variant.name)))


def choose(files: Sequence[HubFile], repo: str, wanted: str | None) -> Variant:
    """The model that is wanted: by a file's path, by its quantisation, else the best default.

    Raises:
        PullError: there is none, or several that `wanted` does not tell apart; names the choices.
    """
    there = variants(files)
    if wanted is not None and _is_gguf(wanted):
        return _by_path(there, repo, wanted)
    if not there:
        raise PullError(f"{repo} has no GGUF file of a chat model; {_what_else(files)}")
    if wanted is None:
        ranked = [_of(there, name) for name in _PREFERRED]
        chosen = next(filter(None, ranked), None) or there[:1]
    else:
        chosen = _of(there, wanted) or _of(there, _DYNAMIC + wanted)
    if not chosen:
        raise PullError(f"{repo} has no {wanted}; it has {listed(v.shown for v in there)}")
    if len(chosen) > 1:
        names = listed(variant.name for variant in chosen)
        raise PullError(
            f"{repo} has several models of {chosen[0].quantisation}: {names}. Name one of the "
            f"files: {repo}:{chosen[0].name}"
        )
    return chosen[0]


def companion(name: str) -> str | None:
    """What a file is beside a model, by its name: a projector, an adapter; None: a model."""
    match = _COMPANION.search(split.stem(name))
    return _COMPANIONS[match[1].lower()] if match else None


def _by_path(there: Sequence[Variant], repo: str, path: str) -> Variant:
    wanted = PurePosixPath(path)
    first = split.first_part(wanted.name).lower()
    for variant in there:
        name = PurePosixPath(variant.name)
        same_folder = wanted.parent == name.parent or len(wanted.parts) == 1
        if same_folder and name.name.lower() == first:
            return variant
    if what := companion(path):
        raise PullError(f"{path} is {what} by its name, which is no model of its own")
    choices = f"it has {listed(v.name for v in there)}" if there else "it has no such file at all"
    raise PullError(f"{repo} has no file {path}; {choices}")


def _of(there: Iterable[Variant], quantisation: str) -> tuple[Variant, ...]:
    return tuple(v for v in there if v.quantisation == quantisation.upper())


def _quantisation(name: str) -> str | None:
    """That of the file's name, else of its folder's."""
    path = PurePosixPath(name)
    for text in (split.stem(path.name), path.parent.name):
        if found := _QUANTISATION.findall(text):
            return str(found[-1]).upper()
    return None


def _is_gguf(name: str) -> bool:
    return name.lower().endswith(".gguf")


def _what_else(files: Iterable[HubFile]) -> str:
    names = [file.name for file in files]
    if others := sorted(name for name in names if _is_gguf(name) and name.isprintable()):
        return f"{listed(others)} are none"
    if any(name.endswith(".safetensors") for name in names):
        return "it has safetensors: --hf downloads those, for vLLM"
    return "it has no weights that can be served"
