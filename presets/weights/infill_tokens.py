"""The tokens by which families of models know a gap, as their vocabularies write them.

Prefix, suffix and middle, from the model cards of Qwen2.5-Coder and CodeGemma, StarCoder and
Granite Code, Code Llama, DeepSeek-Coder, Codestral and GLM; llama.cpp's `llama_vocab` knows the
same.
"""

from __future__ import annotations

INFILL_TOKENS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<|fim_begin|>", "<|fim_hole|>", "<|fim_end|>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001 - DeepSeek's own bars
    ("<PRE>", "<SUF>", "<MID>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ("[PREFIX]", "[SUFFIX]", "[MIDDLE]"),
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
)
