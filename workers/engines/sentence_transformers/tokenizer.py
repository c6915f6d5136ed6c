"""The tokenizer of a directory of safetensors, by the library `tokenizers`, without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

from presets.model import ModelSpec
from presets.weights import weight_files
from workers.contract.errors import ModelLoadFailed
from workers.engines.model_tokenizer import EncoderTokenizer

_FILE = "tokenizer.json"


class LibraryVocabulary:
    """See `EncoderVocabulary`. Worker and tokenizer make the same ids, since both read with it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """`tokenizer`: nobody else's; cutting and filling are switched off."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.size = int(tokenizer.get_vocab_size(with_added_tokens=True))

    def ids(self, text: str, *, around: bool) -> list[int]:
        """See `EncoderVocabulary.ids`."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=around).ids
        return ids

    def whole_text(self, token_ids: Sequence[int]) -> str:
        """See `EncoderVocabulary.whole_text`."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=False)
        return text


def load(spec: ModelSpec) -> EncoderTokenizer:
    """The tokenizer of a model whose directory is there.

    Raises:
        ModelLoadFailed: it is missing or broken.
    """
    if (absence := weight_files.absence(spec)) or spec.path is None:
        raise ModelLoadFailed(f"The files of {spec.id} are missing: {absence}.")
    try:
        tokenizer = Tokenizer.from_file(str(spec.path / _FILE))
    except Exception as error:  # the library raises plain ones
        raise ModelLoadFailed(f"{spec.path / _FILE} cannot be read: {error}") from error
    return EncoderTokenizer(spec.id, spec.kind.value, LibraryVocabulary(tokenizer))
