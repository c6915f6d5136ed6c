"""A GGUF file's tokenizer: llama.cpp loads the vocabulary and none of the weights."""

from __future__ import annotations

from presets.model import ModelSpec
from workers.engines.dialogue import Dialogue
from workers.engines.llamacpp import weights
from workers.engines.llamacpp.native import Model
from workers.engines.llamacpp.prompt_tokens import PromptTokens
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.engines.model_tokenizer import DialogueTokenizer, EncoderTokenizer, ModelTokenizer


def load(spec: ModelSpec) -> ModelTokenizer:
    """The tokenizer of a model whose file is there.

    Raises:
        ModelLoadFailed: it is missing, broken, or its chat template is.
    """
    model = Model(weights.check(spec), 0, lambda _: None, vocabulary_alone=True)
    try:
        vocabulary = Vocabulary(model)
        if not spec.kind.writes:
            return EncoderTokenizer(spec.id, spec.kind.value, vocabulary, free=model.free)
        dialogue = Dialogue.of(spec, model.chat_template(), vocabulary.bos, vocabulary.eos)
        prompt_tokens = PromptTokens(spec.id, vocabulary, dialogue.own_texts, None)
    except BaseException:
        model.free()
        raise
    return DialogueTokenizer(spec.id, dialogue, prompt_tokens, vocabulary, free=model.free)
