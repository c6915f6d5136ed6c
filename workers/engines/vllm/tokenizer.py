"""The tokenizer of a model of safetensors, by the library `tokenizers`; vLLM is not started."""

from __future__ import annotations

from typing import Any

from transformers import AutoTokenizer

from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines.dialogue import Dialogue
from workers.engines.model_tokenizer import DialogueTokenizer
from workers.engines.vllm import sources
from workers.engines.vllm.prompt_tokens import PromptTokens
from workers.engines.vllm.raw_vocabulary import RawVocabulary
from workers.engines.vllm.vocabulary import Vocabulary


def load(spec: ModelSpec) -> DialogueTokenizer:
    """The tokenizer of a model whose directory is there, or whose repository was fetched before.

    Raises:
        ModelLoadFailed: it is missing or broken, or its chat template is.
    """
    vocabulary = Vocabulary(spec.id, _tokenizer(spec), {})
    dialogue = Dialogue.of(spec, vocabulary.template, vocabulary.bos, vocabulary.eos)
    prompt_tokens = PromptTokens(spec.id, vocabulary.fast, dialogue.own_texts, None)
    return DialogueTokenizer(
        spec.id, dialogue, prompt_tokens, RawVocabulary(vocabulary, prompt_tokens)
    )


def _tokenizer(spec: ModelSpec) -> Any:
    """As vLLM takes it: of the directory or the repository, and never with code of its own."""
    source = str(spec.options.get("tokenizer") or sources.find(spec))
    try:
        # What fetches weights is the model's worker: nobody who counts starts a download.
        return AutoTokenizer.from_pretrained(  # nosec B615 # it downloads nothing
            source, local_files_only=True, trust_remote_code=False, use_fast=True
        )
    except Exception as error:  # transformers raises many kinds
        fetch = f"; fetch it with: inference-service pull --hf {spec.id}" if spec.hf else ""
        raise ModelLoadFailed(
            f"The tokenizer of {spec.id} is not on this machine, or broken ({source}): "
            f"{str(error).partition(chr(10))[0][:300]}{fetch}"
        ) from error
