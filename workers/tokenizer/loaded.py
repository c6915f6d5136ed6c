"""The tokenizers that are in memory: those that were used last."""

from __future__ import annotations

import threading
from collections import OrderedDict

from presets.catalogue import Catalogue, UnknownModel
from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines import registry
from workers.engines.model_tokenizer import ModelTokenizer

#: A vocabulary of 150,000 tokens takes some 60 MB; the largest preset has eight models.
MOST_LOADED = 8


class LoadedTokenizers:
    """Loads tokenizers as they are asked for. Safe from several threads."""

    def __init__(self, catalogue: Catalogue, most: int = MOST_LOADED) -> None:
        """`most`: tokenizers that are kept."""
        self._catalogue = catalogue
        self._most = most
        #: Model -> when its file was written, and its tokenizer; the last used last.
        self._loaded: OrderedDict[str, tuple[int, ModelTokenizer]] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def of(self, model: str) -> ModelTokenizer:
        """The tokenizer of a model; loads it where it is not there, or its file is another now.

        Raises:
            ModelLoadFailed: it cannot be loaded, or the catalogue of this process has no such
                model.
        """
        try:
            spec = self._catalogue.get(model)
        except UnknownModel as error:
            raise ModelLoadFailed(
                f"Nothing counts tokens for {model}: {error}. Restart the orchestration worker if "
                "the model was added after its start."
            ) from None
        written = _written_ns(spec)
        if (there := self._find(spec.id, written)) is not None:
            return there
        with self._loading:  # one after the other; meanwhile others are used
            if (there := self._find(spec.id, written)) is not None:
                return there
            made = registry.tokenizer(spec)
            with self._lock:
                self._loaded[spec.id] = written, made
                while len(self._loaded) > self._most:
                    self._loaded.popitem(last=False)
        return made

    def _find(self, model: str, written_ns: int) -> ModelTokenizer | None:
        with self._lock:
            kept = self._loaded.get(model)
            if kept is None or kept[0] != written_ns:
                return None
            self._loaded.move_to_end(model)
            return kept[1]


def _written_ns(spec: ModelSpec) -> int:
    try:
        return 0 if spec.path is None else spec.path.stat().st_mtime_ns
    except OSError:  # it is missing, which the loading says
        return 0
