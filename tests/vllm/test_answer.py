"""What vLLM puts out, as deltas; without an engine, with the model's own tokenizer."""

from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from presets.model import Reasoning
from tests.integration.engines.conftest import Answer as Whole
from workers.contract.errors import EngineFailed
from workers.contract.job import Message
from workers.contract.sampling import Sampling
from workers.engines import reasoning
from workers.engines.answer_form import AnswerForm
from workers.engines.base import GenerationRequest
from workers.engines.vllm.vllm_answer import VllmAnswer
from workers.engines.vllm.vocabulary import Vocabulary

PROMPT = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
#: ThinkTags that are tokens without text in any other answer, as those of gpt-oss.
SPECIAL = Reasoning("tags", "<|im_start|>", "<file_sep>")


@pytest.fixture(scope="module")
def make(models_dir):
    """Makes an answer that is to come after `PROMPT`."""
    tokenizer = AutoTokenizer.from_pretrained(models_dir / "smollm2-135m")

    def make(*, form=None, produced=(), **sampling):
        vocabulary = Vocabulary("m", tokenizer, {"eos_token_id": [2]}, reasoning.tags(form))
        request = GenerationRequest(
            "a|b", (Message("user", "Hi"),), Sampling(**sampling), produced=tuple(produced)
        )
        answer_form = AnswerForm(form, PROMPT)
        prompt = vocabulary.tokenize(PROMPT)

        def spelling(token):
            return tokenizer.convert_ids_to_tokens(token).encode()

        return VllmAnswer(request, prompt, vocabulary, 8192, answer_form, spelling), vocabulary

    return make


def output(ids, reason=None, cached=0):
    completion = SimpleNamespace(token_ids=list(ids), finish_reason=reason, logprobs=None)
    return SimpleNamespace(outputs=[completion], num_cached_tokens=cached, metrics=None)


def said(answer, ids, at_once, reason="length"):
    """The deltas of these ids, so many in each of vLLM's outputs."""
    parts = [ids[at : at + at_once] for at in range(0, len(ids), at_once)]
    outputs = [output(part) for part in parts[:-1]] + [output(parts[-1], reason)]
    return Whole([delta for output in outputs for delta in answer.take(output)])


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_outputs_of_several_tokens_are_a_delta_for_each(make, at_once):
    answer, vocabulary = make()
    ids = vocabulary.tokenize("Né à Köln, 三, 🙂🎉!")
    whole = said(answer, ids, at_once)
    assert [len(delta.token_ids) for delta in whole.deltas] == [1] * len(ids)
    assert whole.text == "Né à Köln, 三, 🙂🎉!"
    assert whole.ids == tuple(ids)
    assert whole.usage.completion_tokens == len(ids)


def test_bytes_that_complete_no_character_are_told_at_the_end(make):
    answer, vocabulary = make()
    ids = vocabulary.tokenize("a🙂")[:-1]
    assert said(answer, ids, 1, reason="stop").text == "a\ufffd"


def test_a_cut_inside_a_character_leaves_no_part_of_it(make):
    answer, vocabulary = make()
    ids = vocabulary.tokenize("a🙂")[:-1]
    assert said(answer, ids, 1, reason="length").text == "a"


def test_a_token_that_ends_the_turn_counts_and_has_no_text(make):
    answer, vocabulary = make()
    ids = [*vocabulary.tokenize("Yes."), 2]
    whole = said(answer, ids, 2, reason="stop")
    assert (whole.text, whole.reason, whole.usage.completion_tokens) == ("Yes.", "stop", len(ids))
    again, _ = make(produced=ids)
    assert again.finished_before_start == "stop"


def test_tokens_after_a_stop_string_are_no_part_of_it(make):
    answer, vocabulary = make(stop=(" two",))
    ids = vocabulary.tokenize("one two three four")
    whole = said(answer, ids, 100)
    assert (whole.text, whole.reason) == ("one", "stop")
    assert whole.usage.completion_tokens == len(whole.ids) == 2


@pytest.mark.parametrize("form", [SPECIAL, Reasoning("tags", "<think>", "</think>")])
def test_thought_and_content_come_apart_wherever_it_goes_on(make, form):
    _, vocabulary = make()
    ids = vocabulary.tokenize(f"{form.open}So it is — 🙂.{form.close}Yes, né.")
    for cut in range(len(ids)):
        first, _ = make(form=form)
        begun = [delta for token in ids[:cut] for delta in first.take(output([token]))]
        second, _ = make(form=form, produced=ids[:cut])
        deltas = [*begun, *said(second, ids[cut:], 1).deltas]
        assert "".join(delta.reasoning for delta in deltas) == "So it is — 🙂."
        assert "".join(delta.text for delta in deltas) == "Yes, né."
        assert 0 < deltas[-1].usage.reasoning_tokens < len(ids)


def test_usage_counts_cached_tokens_of_the_prompt_alone(make):
    answer, vocabulary = make(produced=[28] * 200)
    (delta,) = answer.take(output([28], "length", cached=160))
    assert (
        delta.usage.cached_tokens == delta.usage.prompt_tokens == len(vocabulary.tokenize(PROMPT))
    )


def test_an_answer_that_vllm_gives_up_has_failed(make):
    answer, _ = make()
    with pytest.raises(EngineFailed, match="error"):
        list(answer.take(output([28], "error")))


def told(answer, ids, reason="length"):
    """The deltas of these ids, each with a log probability."""
    known = [{token: SimpleNamespace(logprob=-1.0, rank=1)} for token in ids]
    out = output(ids, reason)
    out.outputs[0].logprobs = known
    return Whole(list(answer.take(out)))


def test_logprobs_come_with_ids_and_content_with_text(make):
    answer, vocabulary = make(logprobs=1, stop=("never",))
    ids = vocabulary.tokenize("Né 🙂🎉 n")
    whole = told(answer, ids)
    assert [delta.logprobs[0][::3] for delta in whole.deltas] == [(token, token) for token in ids]
    assert [place for delta in whole.deltas for place in delta.content_tokens] == [*range(len(ids))]


def test_thoughts_and_special_tokens_have_no_logprobs(make):
    answer, vocabulary = make(form=SPECIAL, logprobs=0)
    ids = vocabulary.tokenize("<|im_start|>so<file_sep>four<|im_end|>")
    whole = told(answer, ids, "stop")
    content = [place for delta in whole.deltas for place in delta.content_tokens]
    assert [vocabulary.text([ids[place]]) for place in content] == ["four"]
    # One that ends a tag is known to be none with the next.
    assert [bool(delta.logprobs[0]) for delta in whole.deltas[:2]] == [False, False]
    assert [bool(whole.deltas[place].logprobs[0]) for place in content] == [True]


@pytest.mark.parametrize("shows", [False, True])
def test_a_stop_token_is_shown_where_that_is_asked_for(make, shows):
    answer, vocabulary = make(stop_token_ids=(260,), include_stop_str_in_output=shows)
    ids = [*vocabulary.tokenize("Hello"), 260]
    whole = said(answer, ids, 100, "stop")
    assert whole.text == "Hello" + (vocabulary.text([260]) if shows else "")
    assert whole.ids == tuple(ids)


def test_a_stop_token_that_was_logged_is_the_end_and_the_models_own_may_be_none(make):
    assert make(produced=(5, 260), stop_token_ids=(260,))[0].finished_before_start == "stop"
    early = {"stop_token_ids": (260,), "min_tokens": 5}
    assert make(produced=(5, 260), **early)[0].finished_before_start is None
    assert make(produced=(5, 2))[0].finished_before_start == "stop"
    assert make(produced=(5, 2), ignore_eos=True)[0].finished_before_start is None
