"""A model's weights in llama.cpp, and what llama.cpp says when it cannot load them."""

from __future__ import annotations

import ctypes
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path

import llama_cpp

from workers.contract.errors import ModelLoadFailed

log = logging.getLogger(__name__)

#: ggml's log levels (ggml.h, `ggml_log_level`); the last continues the line before.
_GGML_WARNING, _GGML_ERROR, _GGML_CONTINUED = 3, 4, 5
#: No honest line is longer; a file's own texts stand in some.
_LONGEST_LINE = 500


class _Words:
    """llama.cpp's last errors, for the message of a model that cannot be loaded."""

    def __init__(self) -> None:
        self._errors: deque[str] = deque(maxlen=20)
        self._level = 0

    def take(self, level: int, text: str) -> None:
        """A line, or a piece of the line before."""
        continues = level == _GGML_CONTINUED
        if not continues:
            self._level = level
        if self._level == _GGML_ERROR:
            if continues and self._errors:
                text = self._errors.pop() + text
            self._errors.append(text[:_LONGEST_LINE])
        if self._level in (_GGML_WARNING, _GGML_ERROR) and text.strip():
            log.debug("llama.cpp: %s", text.strip())

    def clear(self) -> None:
        """Forget what was said before."""
        self._errors.clear()

    def __str__(self) -> str:
        said = [line.strip() for line in self._errors]
        return "; ".join(line for line in said if line) or "no reason given"


#: What llama.cpp has said of the last load.
words = _Words()


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _take_log(level: int, text: bytes, _user_data: object) -> None:
    words.take(level, text.decode("utf-8", "replace"))


llama_cpp.llama_log_set(_take_log, ctypes.c_void_p(0))


class Model:
    """Weights in memory."""

    def __init__(
        self,
        path: Path,
        gpu_layers: int,
        on_progress: Callable[[float], None],
        *,
        vocabulary_alone: bool = False,
    ) -> None:
        """Load the weights; `vocabulary_alone`: none of them, but what there is to tokenise with.

        Raises:
            ModelLoadFailed: llama.cpp refuses the file; gives its errors.
        """
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers if gpu_layers >= 0 else 10_000
        parameters.vocab_only = vocabulary_alone
        interrupted: list[BaseException] = []
        callback = llama_cpp.llama_progress_callback(_progress(on_progress, interrupted))
        parameters.progress_callback = callback
        words.clear()
        pointer = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if interrupted:
            if pointer:
                llama_cpp.llama_model_free(pointer)
            raise interrupted[0]
        if not pointer:
            raise ModelLoadFailed(f"llama.cpp cannot load {path}: {words}")
        self.pointer = pointer
        self.trained_context = int(llama_cpp.llama_model_n_ctx_train(pointer))
        self.size_bytes = int(llama_cpp.llama_model_size(pointer))
        #: Whether the end of a sequence can be taken back. Sliding windows have forgotten what
        #: lies before it, and a recurrent state has no positions at all.
        self.forgets = (
            int(llama_cpp.llama_model_n_swa(pointer)) > 0
            or bool(llama_cpp.llama_model_is_recurrent(pointer))
            or bool(llama_cpp.llama_model_is_hybrid(pointer))
        )

    def chat_template(self) -> str | None:
        """The chat template in the file's metadata."""
        raw = llama_cpp.llama_model_chat_template(self.pointer, None)
        return raw.decode("utf-8", "replace") if raw else None

    def metadata(self, key: str) -> str | None:
        """A value of the file's metadata, as llama.cpp writes it."""
        text = ctypes.create_string_buffer(64)
        length = llama_cpp.llama_model_meta_val_str(self.pointer, key.encode(), text, len(text))
        return text.value.decode("utf-8", "replace") if length >= 0 else None

    def free(self) -> None:
        """Give the memory back."""
        llama_cpp.llama_model_free(self.pointer)


def _progress(
    on_progress: Callable[[float], None], interrupted: list[BaseException]
) -> Callable[[float, object], bool]:
    """What llama.cpp calls; False, which ends the loading, once something was raised meanwhile.

    An exception cannot pass through llama.cpp: a signal's is kept and raised after it.
    """

    def progress(fraction: float, _user_data: object) -> bool:
        try:
            on_progress(fraction)
        except BaseException as raised:  # noqa: BLE001
            interrupted.append(raised)
        return not interrupted

    return progress
