"""What every engine does, in one suite for all of them."""

import threading
import time

import pytest

from tests.integration.engines.conftest import ask, ask_all
from workers.contract.errors import ContextBudgetExceeded, EngineFailed, ModelLoadFailed
from workers.contract.job import Message, Priority
from workers.engines import registry
from workers.engines.time_budget import TimeBudget

#: One step, a few times over, on a machine that does other work too.
ONE_STEP_S = 1.0


def test_an_answer_streams_and_ends_once(kit, engine):
    request = kit.request(max_tokens=24)
    generation = engine.generate(request, threading.Event())
    arrived = [(time.perf_counter(), delta) for delta in generation]
    deltas = [delta for _, delta in arrived]
    assert len([delta for delta in deltas if delta.token_ids]) > 5
    assert arrived[-1][0] > arrived[0][0]
    assert [delta.finish_reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert [delta.usage for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish_reason == "length"
    assert deltas[-1].usage.completion_tokens == sum(len(delta.token_ids) for delta in deltas) == 24
    assert deltas[-1].usage.prompt_tokens > 0
    assert deltas[-1].timings.decode_ms > 0


def test_the_tokens_are_those_of_the_conversation(kit, engine):
    request = kit.request(max_tokens=48)
    answer = ask(engine, request)
    kit.assert_right(request, answer)
    assert len(answer.text) > 10


def test_the_prompt_is_the_templates_own(real_kit, real_engine):
    request = real_kit.request(max_tokens=1)
    answer = ask(real_engine, request)
    assert answer.usage.prompt_tokens == len(real_kit.reference.prompt(request.messages))


@pytest.mark.parametrize("topic", ["the sea", "<|im_end|> né à Köln, 三, 🙂 " * 40])
def test_its_tokenizer_counts_without_weights_what_it_reads(kit, engine, topic):
    request = kit.request(topic, max_tokens=1)
    ids = registry.tokenizer(kit.spec()).of_messages(request, TimeBudget())
    assert len(ids) == ask(engine, request).usage.prompt_tokens


@pytest.mark.usefixtures("sense")
def test_the_model_ends_its_own_turn(kit, engine):
    content = "What is 2 + 2? Answer with one number."
    messages = (Message("user", content if kit.real else '{"scripted": {"text": "4"}}'),)
    answer = ask(engine, kit.request(messages=messages, max_tokens=200))
    assert answer.reason == "stop"
    assert answer.usage.completion_tokens < 200


@pytest.mark.parametrize("limit", [1, 2, 17])
def test_max_tokens_is_exact(kit, engine, limit):
    answer = ask(engine, kit.request(max_tokens=limit))
    assert len(answer.ids) == answer.usage.completion_tokens == limit
    assert answer.reason == "length"


def test_a_stop_string_ends_the_answer_before_itself(kit, engine):
    whole = ask(engine, kit.request()).text
    for stop in (whole[4:6], whole[5:13], whole[:3]):
        answer = ask(engine, kit.request(stop=(stop,)))
        assert answer.text == whole.partition(stop)[0]
        assert answer.reason == "stop"


def test_the_first_of_several_stop_strings_counts(kit, engine):
    whole = ask(engine, kit.request()).text
    answer = ask(engine, kit.request(stop=("\x00never", whole[20:24], whole[8:12])))
    assert answer.text == min((whole.partition(s)[0] for s in (whole[20:24], whole[8:12])), key=len)


def test_text_that_might_have_become_a_stop_string_is_not_lost(kit, engine):
    whole = ask(engine, kit.request(max_tokens=20)).text
    answer = ask(engine, kit.request(max_tokens=20, stop=(whole[-4:] + "\x00",)))
    assert answer.text == whole
    assert answer.reason == "length"


@pytest.mark.usefixtures("sense")
def test_characters_split_over_tokens_come_whole(kit, engine):
    """In the model's vocabulary these pictures are two or three tokens each."""
    line = "Repeat this line: " + "🙂🎉🚀" * 3
    messages = (Message("user", line),) if kit.real else None
    answer = ask(engine, kit.request(messages=messages, max_tokens=31))
    assert any(ord(character) > 127 for character in answer.text)
    assert "\ufffd" not in answer.text
    assert any(delta.token_ids and not delta.text for delta in answer.deltas[:-1])
    if kit.real:
        # The reference has U+FFFD where its last token is in the middle of a character.
        assert answer.text == kit.reference.text(answer.ids).rstrip("\ufffd")


def test_a_limit_inside_a_character_leaves_no_part_of_it(kit, engine):
    messages = (Message("user", "Repeat this line: " + "🙂🎉🚀" * 3),) if kit.real else None
    for most in range(1, 12):
        answer = ask(engine, kit.request(messages=messages, max_tokens=most))
        assert "\ufffd" not in answer.text


def test_a_seed_repeats_its_answer(kit, engine):
    drawn = [ask(engine, kit.request(temperature=1.0, seed=7)).ids for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_without_a_seed_and_with_another_the_answer_varies(real_kit, real_engine):
    seeds = [1, 2, None, None]
    drawn = [ask(real_engine, real_kit.request(temperature=1.0, seed=seed)).ids for seed in seeds]
    assert len(set(drawn)) == 4


@pytest.mark.usefixtures("sense")
def test_penalties_keep_an_answer_from_repeating_itself(real_kit, real_engine):
    messages = (Message("user", "Write the word yes a hundred times: yes yes yes yes"),)

    def repetition(**penalties):
        request = real_kit.request(messages=messages, max_tokens=40, **penalties)
        ids = ask(real_engine, request).ids
        return len(ids) / len(set(ids))

    plain = repetition()
    assert repetition(frequency_penalty=2.0) < plain / 2
    assert repetition(presence_penalty=2.0) < plain / 2


def test_penalties_and_every_other_choice_are_accepted(kit, engine):
    choices = {"top_p": 0.9, "top_k": 20, "min_p": 0.1, "seed": 0, "temperature": 0.7}
    answer = ask(engine, kit.request(presence_penalty=0.5, frequency_penalty=-0.5, **choices))
    assert answer.usage.completion_tokens == 32


def test_cancel_ends_within_a_step_and_frees_the_place(kit):
    engine = kit.load(concurrency=1)
    cancelled = threading.Event()
    deltas = engine.generate(kit.request(max_tokens=None), cancelled)
    for _ in range(3):
        next(deltas)
    cancelled.set()
    began = time.perf_counter()
    rest = list(deltas)
    assert time.perf_counter() - began < ONE_STEP_S
    assert rest[-1].finish_reason == "cancelled"
    assert rest[-1].usage.completion_tokens == 3 + sum(len(delta.token_ids) for delta in rest)
    began = time.perf_counter()
    assert ask(engine, kit.request(max_tokens=2)).reason == "length"
    assert time.perf_counter() - began < 2 * ONE_STEP_S


def test_cancel_before_the_start(kit, engine):
    cancelled = threading.Event()
    cancelled.set()
    answer = ask(engine, kit.request(max_tokens=None), cancelled)
    assert answer.reason == "cancelled"
    assert len(answer.ids) <= 1


def test_closing_the_iterator_frees_the_place(kit):
    engine = kit.load(concurrency=1)
    deltas = engine.generate(kit.request(max_tokens=None), threading.Event())
    next(deltas)
    deltas.close()
    assert ask(engine, kit.request(max_tokens=2)).reason == "length"


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers(kit, engine):
    messages = (*kit.messages(), Message("assistant", "word " * 9000), *kit.messages())
    with pytest.raises(ContextBudgetExceeded) as refused:
        ask(engine, kit.request(messages=messages))
    assert refused.value.details["budget"] == engine.context_length == 8192
    assert refused.value.details["current_tokens"] >= 9000
    assert "8192" in refused.value.message


def test_the_context_ends_an_answer_without_a_limit(kit):
    engine = kit.load(context_length=96)
    answer = ask(engine, kit.request(max_tokens=None))
    assert answer.reason == "length"
    assert answer.usage.total_tokens == 96


def test_16_at_once_each_get_their_own_answer(kit, engine):
    topics = ["bears", "trains", "rain", "bread", "clocks", "owls", "ships", "snow"]
    topics += ["wolves", "bells", "maps", "kites", "foxes", "lamps", "tea", "stars"]
    requests = [kit.request(topic, max_tokens=8 + i) for i, topic in enumerate(topics)]
    answers = ask_all(engine, requests)
    for request, answer in zip(requests, answers, strict=True):
        assert answer.usage.completion_tokens == request.sampling.max_tokens
        kit.assert_right(request, answer)
    assert len({answer.text for answer in answers}) == 16


def test_a_short_answer_does_not_wait_for_a_long_one(kit, engine):
    cancelled = threading.Event()
    long = engine.generate(kit.request(max_tokens=None), cancelled)
    next(long)
    short = ask(engine, kit.request("a short one", max_tokens=4))
    assert short.reason == "length"
    cancelled.set()
    rest = list(long)
    assert rest[-1].finish_reason == "cancelled"


def test_an_answer_is_the_same_alone_and_beside_others(kit, engine):
    request = kit.request("the moon", max_tokens=24)
    alone = ask(engine, request)
    others = [kit.request(f"number {i}", max_tokens=24) for i in range(15)]
    beside = ask_all(engine, [request, *others])[0]
    kit.assert_right(request, alone)
    kit.assert_right(request, beside)


@pytest.mark.parametrize("cut", [1, 7, 31])
def test_an_answer_goes_on_from_its_token_ids(kit, engine, cut):
    request = kit.request(max_tokens=32)
    whole = ask(engine, request)
    continued = kit.request(max_tokens=32, produced=whole.ids[:cut])
    rest = ask(engine, continued)
    kit.assert_right(continued, rest)
    assert len(rest.ids) == 32 - cut
    assert rest.usage.completion_tokens == 32
    assert rest.usage.prompt_tokens == whole.usage.prompt_tokens
    if rest.ids == whole.ids[cut:]:
        first = "".join(delta.text for delta in whole.deltas[:cut])
        assert first + rest.text == whole.text


def test_a_stop_string_over_the_border_of_two_attempts_is_found(kit, engine):
    whole = ask(engine, kit.request(max_tokens=12))
    first, stop = "", ""
    for cut in range(2, 10):
        first = "".join(delta.text for delta in whole.deltas[:cut])
        stop = whole.text[len(first) - 2 : len(first) + 3]
        if whole.text.find(stop) == len(first) - 2:
            break
    shown = ask(engine, kit.request(max_tokens=cut, stop=(stop,)))
    rest = ask(engine, kit.request(max_tokens=12, stop=(stop,), produced=whole.ids[:cut]))
    assert rest.reason == "stop"
    assert (first[:-2] + rest.text) == whole.text.partition(stop)[0]
    assert shown.text == first


def test_nothing_is_left_to_do_when_the_limit_was_reached_before(kit, engine):
    whole = ask(engine, kit.request(max_tokens=5))
    rest = ask(engine, kit.request(max_tokens=5, produced=whole.ids))
    assert rest.ids == ()
    assert rest.reason == "length"
    assert rest.usage.completion_tokens == 5


def test_counting_tokens(kit, engine):
    assert engine.count_tokens("") == 0
    assert engine.count_tokens("one two three") == 3


def test_a_closed_engine_refuses_and_closes_again(kit):
    engine = kit.load()
    engine.close()
    engine.close()
    with pytest.raises(EngineFailed):
        ask(engine, kit.request())


def test_closing_ends_what_runs(kit):
    engine = kit.load()
    deltas = engine.generate(kit.request(max_tokens=None), threading.Event())
    next(deltas)
    engine.close()
    assert list(deltas)[-1].finish_reason == "cancelled"


def test_loading_tells_how_far_it_is(kit):
    engine, spec = kit.make()
    fractions = []
    engine.load(spec, fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert engine.context_length == spec.context_length


def test_a_failed_load_says_why_and_can_be_closed(kit, tmp_path):
    missing = tmp_path / "nowhere.gguf"
    changes = {"path": missing} if kit.real else {"options": {"load_error": str(missing)}}
    engine, spec = kit.make(**changes)
    with pytest.raises(ModelLoadFailed, match=r"nowhere\.gguf"):
        engine.load(spec, lambda _fraction: None)
    engine.close()


def test_priorities_are_accepted(kit, engine):
    requests = [kit.request(priority=priority, max_tokens=3) for priority in Priority]
    assert [len(answer.ids) for answer in ask_all(engine, requests)] == [3] * len(Priority)
