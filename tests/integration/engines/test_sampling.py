"""What chat clients send beyond the usual: logprobs, biases, other samplers, other ends."""

import json

import numpy as np
import pytest

from presets import backends
from tests.integration.engines.conftest import ask, ask_all
from tests.support.near_tie import NEAR_TIE
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.errors import ValidationFailed
from workers.contract.job import Message
from workers.contract.logprobs import unpack
from workers.contract.sampling import Sampling

#: Log probabilities of the same ids in other batch shapes differ by less, in 16-bit weights.
APART = NEAR_TIE


def require(kit, choices):
    """Skip what the engine is not asked for: it is refused before it comes to it."""
    lacking = set(Sampling(**choices).extras) - backends.get(kit.backend).sampling
    if lacking:
        pytest.skip(f"{kit.backend} does no {', '.join(sorted(lacking))}")


def told(answer):
    """Place of a token in the answer -> what is told of it."""
    packed = [each for delta in answer.deltas for each in delta.logprobs]
    return {place: list(unpack(each)) for place, each in enumerate(packed) if each}


def content(answer):
    return [place for delta in answer.deltas for place in delta.content_tokens]


def joined(answer):
    """The text of the content's tokens, from their own bytes."""
    of_place = told(answer)
    return b"".join(of_place[place][0].piece for place in content(answer)).decode(errors="replace")


def test_logprobs_are_told_of_the_contents_tokens_and_of_no_others(kit, engine):
    answer = ask(engine, kit.request(logprobs=3, max_tokens=24))
    assert content(answer) == list(range(24))
    assert [entry[0].token_id for entry in told(answer).values()] == list(answer.ids)
    assert all(len(entry) == 4 for entry in told(answer).values())
    assert joined(answer).startswith(answer.text)  # a character may be cut at the end
    for chosen, *top in told(answer).values():
        assert chosen.logprob <= 0
        assert [each.logprob for each in top] == sorted((t.logprob for t in top), reverse=True)
        assert top[0] == chosen  # greedy


def test_without_alternatives_only_the_chosen_are_told(kit, engine):
    answer = ask(engine, kit.request(logprobs=0, max_tokens=5))
    assert [len(entry) for entry in told(answer).values()] == [1] * 5


def test_nobody_is_told_who_did_not_ask(kit, engine):
    answer = ask(engine, kit.request(max_tokens=5))
    assert told(answer) == {}
    assert content(answer) == []


def test_logprobs_leave_out_what_a_stop_string_takes_away(kit, engine):
    whole = ask(engine, kit.request()).text
    answer = ask(engine, kit.request(stop=(whole[9:14],), logprobs=1))
    assert answer.text == whole.partition(whole[9:14])[0]
    assert joined(answer).startswith(answer.text)
    assert len(content(answer)) <= len(answer.ids)
    shorter = [told(answer)[place][0].piece for place in content(answer)[:-1]]
    assert not b"".join(shorter).decode(errors="replace").startswith(answer.text)


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_logprobs_go_on_after_a_crash(kit, engine, cut):
    """Those of tokens whose text was held back then come from the log, by their places."""
    whole = ask(engine, kit.request(logprobs=2, stop=("\x00never",)))
    rest = ask(engine, kit.request(logprobs=2, produced=whole.ids[:cut], stop=("\x00never",)))
    before = [place for delta in whole.deltas[:cut] for place in delta.content_tokens]
    assert before + content(rest) == content(whole)
    assert len([each for delta in rest.deltas for each in delta.logprobs]) == len(rest.ids)


def test_logprobs_are_the_models_own(real_kit, real_engine):
    """Before biases, penalties, temperature: as a bare llama.cpp computes them."""
    changes = {"temperature": 1.2, "seed": 3, "frequency_penalty": 1.5, "repetition_penalty": 1.2}
    request = real_kit.request(logprobs=20, max_tokens=24, logit_bias=((28, 3.0),), **changes)
    answer = ask(real_engine, request)
    rows = real_kit.reference.logprobs(request.messages, answer.ids)
    for place, entry in told(answer).items():
        for each in entry:
            assert abs(each.logprob - rows[place][each.token_id]) < APART
        least = min(each.logprob for each in entry[1:])
        others = np.delete(rows[place], [each.token_id for each in entry])
        assert others.max() < least + APART


def test_logprobs_of_a_held_answer_are_those_before_the_mask(real_kit, real_engine):
    form = Constraint(ConstraintKind.CHOICE, ["zebra", "quagga"])
    request = real_kit.request(constraint=form, logprobs=2)
    answer = ask(real_engine, request)
    assert answer.text in ("zebra", "quagga")
    chosen, *top = told(answer)[0]
    assert chosen.logprob < top[0].logprob  # the model would have said something else
    rows = real_kit.reference.logprobs(request.messages, answer.ids)
    assert abs(chosen.logprob - rows[0][chosen.token_id]) < APART


def test_16_at_once_are_each_told_their_own(kit, engine):
    requests = [kit.request(f"number {i}", max_tokens=12, logprobs=i) for i in range(16)]
    for request, answer in zip(requests, ask_all(engine, requests), strict=True):
        kit.assert_right(request, answer)
        assert [entry[0].token_id for entry in told(answer).values()] == list(answer.ids)
        assert {len(entry) for entry in told(answer).values()} <= {1 + request.sampling.logprobs}


def test_a_bias_bans_a_token_and_forces_another(real_kit, real_engine):
    plain = ask(real_engine, real_kit.request(max_tokens=8))
    first = plain.ids[0]
    banned = ask(real_engine, real_kit.request(max_tokens=8, logit_bias=((first, -100.0),)))
    assert first not in banned.ids
    forced = ask(real_engine, real_kit.request(max_tokens=8, logit_bias=((first, 100.0),)))
    assert set(forced.ids) == {first}


def test_a_bias_counts_in_a_held_answer(real_kit, real_engine):
    def answer(*bias):
        form = Constraint(ConstraintKind.CHOICE, ["yes", "no"])
        request = real_kit.request(constraint=form, logprobs=0, logit_bias=bias)
        return ask(real_engine, request)

    plain = answer()
    other = answer((plain.ids[0], -100.0))
    assert {plain.text, other.text} == {"yes", "no"}


def test_a_repetition_penalty_counts_the_prompt(real_kit, real_engine):
    messages = (Message("user", "Write the word yes a hundred times: yes yes yes yes"),)

    def answer(**changes):
        return ask(real_engine, real_kit.request(messages=messages, max_tokens=40, **changes))

    plain, penalised = answer(), answer(repetition_penalty=1.5)
    assert len(set(penalised.ids)) > len(set(plain.ids))
    in_prompt = set(real_kit.reference.prompt(messages))
    assert penalised.ids[0] not in in_prompt or penalised.ids[0] != plain.ids[0]


def test_penalties_that_look_back_over_nothing_do_nothing(real_kit, real_engine):
    choices = {"repetition_penalty": 1.5, "frequency_penalty": 2.0, "repeat_last_n": 0}
    require(real_kit, choices)
    plain = ask(real_engine, real_kit.request(max_tokens=24))
    assert ask(real_engine, real_kit.request(max_tokens=24, **choices)).ids == plain.ids


@pytest.mark.parametrize(
    "penalties",
    [
        {"repetition_penalty": 1.3},
        {"repetition_penalty": 1.3, "repeat_last_n": -1},
        {"frequency_penalty": 1.0, "repeat_last_n": 4},
        {"dry_multiplier": 2.0, "dry_allowed_length": 1},
    ],
    ids=["repetition", "all", "window", "dry"],
)
def test_penalties_look_back_over_a_crash(real_kit, real_engine, penalties):
    """A greedy answer is the same where it goes on: what was produced is in the windows."""
    require(real_kit, penalties)
    messages = (Message("user", "Write the word yes a hundred times: yes yes yes yes"),)
    asked = {"messages": messages, "max_tokens": 24, **penalties}
    whole = ask(real_engine, real_kit.request(**asked))
    assert whole.ids != ask(real_engine, real_kit.request(messages=messages, max_tokens=24)).ids
    rest = ask(real_engine, real_kit.request(**asked, produced=whole.ids[:10]))
    assert rest.ids[:6] == whole.ids[10:16]


def test_dry_ends_a_repetition(real_kit, real_engine):
    require(real_kit, {"dry_multiplier": 5.0})
    messages = (Message("user", "Write the word yes a hundred times: yes yes yes yes"),)

    def answer(**changes):
        return ask(real_engine, real_kit.request(messages=messages, max_tokens=40, **changes)).ids

    dry = {"dry_multiplier": 5.0, "dry_allowed_length": 1, "dry_sequence_breakers": ()}
    assert len(set(answer(**dry))) > len(set(answer()))
    assert answer(**dry, dry_penalty_last_n=0) == answer()


@pytest.mark.parametrize(
    "choice",
    [
        {"typical_p": 0.01},
        {"top_n_sigma": 0.01},
        {"xtc_probability": 1.0, "xtc_threshold": 0.0},
    ],
    ids=lambda choice: next(iter(choice)),
)
def test_each_sampler_leaves_out_what_it_is_to(real_kit, real_engine, choice):
    """At a high temperature: these keep one token each, and XTC all but the least likely."""
    require(real_kit, choice)
    asked = {"temperature": 2.0, "top_k": 50, "top_p": 1.0, "min_p": 0.0, "max_tokens": 12}
    request = real_kit.request(**asked, **choice, seed=1, logprobs=20)
    answer = ask(real_engine, request)
    assert answer.ids == ask(real_engine, real_kit.request(**asked, **choice, seed=1)).ids
    others = [ask(real_engine, real_kit.request(**asked, **choice, seed=s)).ids for s in (2, 3)]
    if "top_n_sigma" in choice:  # within a hundredth of a deviation there is the best alone
        real_kit.assert_right(request, answer)
    elif "typical_p" in choice:
        assert others == [answer.ids] * 2
    else:
        assert all(chosen.token_id != top[0].token_id for chosen, *top in told(answer).values())


@pytest.mark.usefixtures("sense")
def test_min_tokens_bans_the_end_and_no_longer(kit, engine):
    text = "What is 2 + 2? Answer with one number." if kit.real else '{"scripted": {"text": "4"}}'
    messages = (Message("user", text),)
    short = ask(engine, kit.request(messages=messages, max_tokens=200))
    said = short.ids[:-1]  # vLLM counts the token that ends the turn
    least = len(short.ids) + 6
    longer = ask(engine, kit.request(messages=messages, max_tokens=200, min_tokens=least))
    assert len(longer.ids) >= least
    assert longer.ids[: len(said)] == said
    cut = ask(
        engine,
        kit.request(
            messages=messages, max_tokens=200, min_tokens=least, produced=longer.ids[: least - 2]
        ),
    )
    assert len(cut.ids) >= 2


def test_ignore_eos_goes_on_to_the_limit(kit, engine):
    text = "What is 2 + 2? Answer with one number." if kit.real else '{"scripted": {"text": "4"}}'
    messages = (Message("user", text),)
    answer = ask(engine, kit.request(messages=messages, max_tokens=64, ignore_eos=True))
    assert (answer.reason, len(answer.ids)) == ("length", 64)


def test_a_format_ends_where_it_ends(real_kit, real_engine):
    """A constraint that allows nothing but the end wins over a ban of the end."""
    form = Constraint(ConstraintKind.CHOICE, ["yes", "no"])
    for ends in ({"ignore_eos": True}, {"min_tokens": 30}):
        answer = ask(real_engine, real_kit.request(constraint=form, max_tokens=40, **ends))
        assert (answer.text in ("yes", "no"), answer.reason) == (True, "stop")


def test_a_format_that_may_go_on_does(real_kit, real_engine):
    form = Constraint(ConstraintKind.REGEX, "(ab)+")
    answer = ask(real_engine, real_kit.request(constraint=form, max_tokens=12, ignore_eos=True))
    assert (answer.reason, len(answer.ids)) == ("length", 12)
    least = ask(real_engine, real_kit.request(constraint=form, max_tokens=40, min_tokens=9))
    assert len(least.ids) >= 9


def test_a_stop_token_ends_the_answer(kit, engine):
    whole = ask(engine, kit.request(max_tokens=16))
    stop = whole.ids[9]
    place = whole.ids.index(stop)
    answer = ask(engine, kit.request(stop_token_ids=(stop,)))
    assert answer.reason == "stop"
    # As the token that ends a turn: vLLM counts it among those of the answer.
    assert answer.ids in (whole.ids[:place], whole.ids[: place + 1])
    assert answer.text == "".join(delta.text for delta in whole.deltas[:place])
    shown = ask(engine, kit.request(stop_token_ids=(stop,), include_stop_str_in_output=True))
    assert (shown.reason, shown.ids) == ("stop", whole.ids[: place + 1])
    assert shown.text.startswith(answer.text)


def test_a_stop_token_does_not_end_it_before_min_tokens(kit, engine):
    whole = ask(engine, kit.request(max_tokens=4))
    answer = ask(engine, kit.request(stop_token_ids=(whole.ids[3],), min_tokens=8))
    assert len(answer.ids) >= 8


def test_a_stop_string_is_shown_where_that_is_asked_for(kit, engine):
    whole = ask(engine, kit.request()).text
    stop = whole[6:12]
    answer = ask(engine, kit.request(stop=(stop,), include_stop_str_in_output=True))
    assert answer.text == whole.partition(stop)[0] + stop
    assert answer.reason == "stop"


@pytest.mark.parametrize("param", ["stop_token_ids", "logit_bias"])
def test_a_token_that_the_model_has_not_is_named(kit, engine, param):
    value = (10**6,) if param == "stop_token_ids" else ((10**6, 1.0),)
    with pytest.raises(ValidationFailed, match=f"{param} names the token 1000000") as refused:
        ask(engine, kit.request(**{param: value}))
    assert refused.value.details["param"] == param


def test_scripts_are_certain(kit, engine):
    if kit.real:
        pytest.skip("of the scripted engine")
    text = json.dumps({"scripted": {"text": "one two"}})
    answer = ask(engine, kit.request(messages=(Message("user", text),), logprobs=2))
    (first, again, other), _ = told(answer).values()
    assert (first.logprob, again, other.piece) == (0.0, first, b"two")
