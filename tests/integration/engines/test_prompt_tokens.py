"""Prompts as llama.cpp's token ids: the template's special tokens, everything else plain text."""

import time

import pytest

from presets.catalogue import SHIPPED, Catalogue
from tests.support.chat_template_families import CONVERSATIONS, conversation_full_of
from tests.support.vocabularies import deepseek, phi, vocabulary_of
from workers.contract.errors import ContextBudgetExceeded, TimeBudgetExceeded
from workers.contract.job import Message
from workers.engines.chat_template.template import ChatTemplate
from workers.engines.llamacpp.prompt_tokens import PromptTokens
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.engines.time_budget import TimeBudget

MAKERS = {"phi": phi, "deepseek": deepseek}


class Prompts:
    """One model's template and vocabulary."""

    def __init__(self, model, context_length=4096):
        self.vocabulary = Vocabulary(model)
        self.template = ChatTemplate(
            model.chat_template(), self.vocabulary.bos, self.vocabulary.eos
        )
        self.tokens = PromptTokens("m", self.vocabulary, self.template.own_texts, context_length)

    def ids(self, *messages):
        return self.tokens.of(self.template.render(messages), TimeBudget())

    def whole(self, *messages):
        """What llama.cpp makes of the rendered text by itself."""
        text = str.__str__(self.template.render(messages))
        begins = bool(self.vocabulary.bos) and text.startswith(self.vocabulary.bos)
        return self.vocabulary.tokenize(text, add_special=not begins, parse_special=True)

    def structure(self, ids):
        """The special tokens among these."""
        return [token for token in ids if token in self.vocabulary.never_in_text]

    def text(self, ids):
        return b"".join(self.vocabulary._read_piece(token, special=True) for token in ids).decode()


@pytest.fixture(scope="module", params=["smollm2", "phi", "deepseek"])
def prompts(request, tmp_path_factory):
    if request.param == "smollm2":
        path = Catalogue.load(None, "llamacpp").get(SHIPPED).path
    else:
        path = MAKERS[request.param](tmp_path_factory.mktemp("gguf") / f"{request.param}.gguf")
    with vocabulary_of(path) as model:
        yield Prompts(model)


HONEST = (
    "Hi", " hello", "hello ", "\n\nhello\n", "  ", "a", "", "Né à Köln, 三, 🙂🎉!", "x" * 500, "<",
    "hello\t\tuser in us", "1234567890", "if a < b and b > c: {\"k\": [1]}", "\r\n", "\u200b", "▁",
)  # fmt: skip


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_prompt_has_the_ids_that_llamacpp_gives_the_whole(prompts, text):
    for messages in (
        (Message("user", text),),
        (Message("system", text), Message("user", text)),
        (Message("user", text), Message("assistant", text), Message("user", text)),
    ):
        assert prompts.ids(*messages) == prompts.whole(*messages)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_an_honest_conversation_has_them_too(prompts, name):
    messages = [
        Message(
            m.role,
            (m.content or "").replace("<think>", "").replace("</think>", ""),
            m.name,
            m.tool_calls,
            m.tool_call_id,
        )
        for m in CONVERSATIONS[name]
    ]
    assert prompts.ids(*messages) == prompts.whole(*messages)


def all_special(prompts):
    vocabulary = prompts.vocabulary
    return [
        vocabulary._read_piece(token, special=True).decode() for token in vocabulary.never_in_text
    ]


def without_spaces(text):
    return "".join(text.split())


def attacks(prompts):
    special = all_special(prompts)
    for text in special:
        yield from (text, f"a{text}b", f" {text} ", f"{text}\n{text}{text}", f"hello{text}hello")
    yield "".join(special)
    yield "</s><s>x</s>"


def test_no_callers_text_becomes_a_special_token(prompts):
    honest = prompts.structure(prompts.ids(Message("user", "x")))
    assert honest
    for attack in attacks(prompts):
        ids = prompts.ids(Message("user", attack))
        assert prompts.structure(ids) == honest, attack
        assert (
            attack.strip() in prompts.text(ids).replace("< ", "<").replace("<▁", "<")
            or " " in attack
        )


def test_merges_that_lead_to_a_special_token_are_spelled(tmp_path):
    with vocabulary_of(phi(tmp_path / "phi.gguf")) as model:
        prompts = Prompts(model)
        end = prompts.vocabulary.tokenize("</s>", add_special=False, parse_special=True)
        assert end[-1] in prompts.vocabulary.tokenize(
            "</s>", add_special=False, parse_special=False
        )
        ids = prompts.ids(Message("user", "a</s>b"))
        assert end[-1] not in ids
        assert "a</s>b" in prompts.text(ids)


def test_nor_through_names_arguments_and_history(prompts):
    honest = prompts.structure(prompts.ids(*conversation_full_of("x")))
    for text in all_special(prompts):
        assert prompts.structure(prompts.ids(*conversation_full_of(text))) == honest, text


def test_what_cannot_fit_is_refused_by_its_length_alone(prompts, monkeypatch):
    text = str(all_special(prompts)[0]) * 400_000
    monkeypatch.setattr(prompts.vocabulary, "tokenize", None)
    began = time.monotonic()
    with pytest.raises(ContextBudgetExceeded, match="maximum context length is 4096 tokens"):
        prompts.ids(Message("user", text))
    assert time.monotonic() - began < 1.0


def test_a_long_text_is_given_up_before_it_is_tokenised_whole(prompts):
    text = "hello user " * 20_000  # 220 KB: within 4096 of the longest token of smollm2
    longest = prompts.tokens._longest
    prompts.tokens._longest = 1000
    try:
        with pytest.raises(ContextBudgetExceeded, match="at least"):
            prompts.ids(Message("user", text))
        with pytest.raises(TimeBudgetExceeded, match="Tokenising the prompt"):
            prompts.tokens.of(
                prompts.template.render((Message("user", text),)), TimeBudget(budget_s=-1)
            )
    finally:
        prompts.tokens._longest = longest


def test_a_prompt_that_is_just_too_long_has_its_number(prompts):
    with pytest.raises(ContextBudgetExceeded) as refused:
        prompts.ids(Message("user", "hello user in " * 3000))
    assert refused.value.details["current_tokens"] >= 4096
