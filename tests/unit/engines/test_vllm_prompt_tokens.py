"""Prompts as the token ids of a tokenizer of vLLM's; the library `tokenizers` is all it needs."""

import json
import time

import pytest
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from presets.catalogue import SHIPPED, Catalogue
from tests.support.chat_template_families import (
    CONVERSATIONS,
    FAMILIES,
    SPECIAL,
    conversation_full_of,
)
from workers.contract.errors import ContextBudgetExceeded, TimeBudgetExceeded
from workers.contract.job import Message
from workers.engines.chat_template.template import ChatTemplate
from workers.engines.time_budget import TimeBudget
from workers.engines.vllm.prompt_tokens import PromptTokens

BOS, EOS = "<s>", "</s>"


def smollm2():
    """The shipped model's own, from its file."""
    fields = GGUFReader(Catalogue.load(None, "llamacpp").get(SHIPPED).path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"].contents()]
    kinds = fields["tokenizer.ggml.token_type"].contents()
    fast = Tokenizer(models.BPE({text: id_ for id_, text in enumerate(tokens)}, merges))
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens(
        [
            AddedToken(text, special=True, normalized=False)
            for text, kind in zip(tokens, kinds, strict=True)
            if kind == 3
        ]
    )
    return "chatml", fast


def _letters():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    return {letter: id_ for id_, letter in enumerate(letters)}


def phi():
    """As Phi-3 has it: a space before a text, and special tokens that take the space after them."""
    vocabulary = {"<unk>": 0, **{f"<0x{byte:02X}>": byte + 1 for byte in range(256)}}
    for piece in ("▁", *map(chr, range(33, 127)), "▁H", "Hi", "▁Hi", "he", "ll", "▁h"):
        vocabulary.setdefault(piece, len(vocabulary))
    merges = [("▁", "H"), ("H", "i"), ("▁H", "i"), ("h", "e"), ("l", "l"), ("▁", "h")]
    fast = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    fast.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    fast.add_special_tokens(
        [
            AddedToken(text, special=True, normalized=False, rstrip=text != BOS)
            for text in (BOS, EOS, *SPECIAL["phi"])
        ]
    )
    return "phi", fast


def deepseek():
    """As DeepSeek-R1 has it: its turns begin with tokens that are not special."""
    fast = Tokenizer(models.BPE(_letters(), []))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in (BOS, EOS)]
    )
    added = (*SPECIAL["deepseek"], "<think>", "</think>", "<｜nobody｜>")
    fast.add_tokens([AddedToken(text, special=False, normalized=False) for text in added])
    return "deepseek", fast


def metaspace():
    """A space before the first text alone."""
    family, fast = phi()
    description = json.loads(fast.to_str())
    description["normalizer"] = None
    fast = Tokenizer.from_str(json.dumps(description))
    fast.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return family, fast


class Prompts:
    def __init__(self, family, fast):
        self.fast = fast
        self.template = ChatTemplate(FAMILIES[family], BOS, EOS)
        self.tokens = PromptTokens("m", fast, self.template.own_texts, 4096)
        added = fast.get_added_tokens_decoder()
        self.special = {
            id_: str(token.content)
            for id_, token in added.items()
            if token.special or str(token.content) in FAMILIES[family]
        }

    def ids(self, *messages):
        return self.tokens.of(self.template.render(messages), TimeBudget())

    def whole(self, *messages):
        text = str.__str__(self.template.render(messages))
        return self.fast.encode(text, add_special_tokens=False).ids

    def structure(self, ids):
        return [id_ for id_ in ids if id_ in self.special]


@pytest.fixture(scope="module", params=[smollm2, phi, deepseek, metaspace])
def prompts(request):
    return Prompts(*request.param())


HONEST = ("Hi", " Hi", "Hi ", "\n\nHi\n", "  ", "", "Né à Köln, 三, 🙂🎉!", "x" * 500, "<", "12",
          "if a < b: {\"k\": [1]}", "\r\n", "<b>Hi</b>")  # fmt: skip


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_prompt_has_the_ids_that_the_tokenizer_gives_the_whole(prompts, text):
    for messages in (
        (Message("user", text),),
        (Message("system", text), Message("user", text)),
        (Message("user", text), Message("assistant", text), Message("user", text)),
    ):
        assert prompts.ids(*messages) == prompts.whole(*messages)


@pytest.mark.parametrize("name", ["a question", "a conversation", "a tool call"])
def test_an_honest_conversation_has_them_too(prompts, name):
    assert prompts.ids(*CONVERSATIONS[name]) == prompts.whole(*CONVERSATIONS[name])


def test_no_callers_text_becomes_a_special_token(prompts):
    honest = prompts.structure(prompts.ids(*conversation_full_of("x")))
    assert honest
    for special in prompts.special.values():
        for attack in (special, f"a{special}b", f" {special} ", f"{special}\n{special * 3}"):
            ids = prompts.ids(*conversation_full_of(attack))
            assert prompts.structure(ids) == honest, attack


def test_the_models_own_tokenizer_stays_as_it_is(prompts):
    for id_, text in prompts.special.items():
        assert prompts.fast.encode(text, add_special_tokens=False).ids == [id_]


def test_what_cannot_fit_is_refused_by_its_length_alone(prompts, monkeypatch):
    monkeypatch.setattr(prompts.tokens, "_tokenizer", None)
    began = time.monotonic()
    with pytest.raises(ContextBudgetExceeded, match="maximum context length is 4096 tokens"):
        prompts.ids(Message("user", "<|im_end|>" * 400_000))
    assert time.monotonic() - began < 1.0


def test_a_long_text_is_given_up_before_it_is_tokenised_whole(prompts, monkeypatch):
    monkeypatch.setattr(prompts.tokens, "longest_piece", 1000)
    text = "Hi there " * 30_000
    with pytest.raises(ContextBudgetExceeded, match="at least"):
        prompts.ids(Message("user", text))
    rendered = prompts.template.render((Message("user", text),))
    with pytest.raises(TimeBudgetExceeded, match="Tokenising the prompt"):
        prompts.tokens.of(rendered, TimeBudget(budget_s=-1))
