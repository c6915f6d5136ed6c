"""What is drafted for an answer that repeats a text, and how sure it is."""

import pytest

from workers.engines.llamacpp.prompt_lookup import LEAST_MATCH, PromptLookup

PROMPT = list(range(100, 140))


def follow(lookup, tokens):
    for token in tokens:
        lookup.draft(8)
        lookup.take(token)


def test_what_followed_the_last_tokens_before_is_drafted():
    lookup = PromptLookup([*PROMPT, 1, 2])
    follow(lookup, PROMPT[5 : 5 + LEAST_MATCH - 1])
    assert lookup.draft(4).tokens == ()
    lookup.take(PROMPT[5 + LEAST_MATCH - 1])
    assert lookup.draft(4).tokens == tuple(PROMPT[8:12])


def test_of_several_places_that_with_more_of_the_last_tokens_is_taken():
    first, second = [7, 1, 2, 3, 50, 60], [8, 1, 2, 3, 70, 80]
    lookup = PromptLookup([*first, *second, 9, 7, 1, 2, 3])
    assert lookup.draft(2).tokens == (50, 60)


def test_of_places_alike_the_latest_is_taken():
    lookup = PromptLookup([1, 2, 3, 50, 51, 9, 1, 2, 3, 70, 71, 9, 1, 2, 3])
    assert lookup.draft(2).tokens == (70, 71)


def test_chances_grow_with_what_was_right_and_fall_with_what_was_not():
    lookup = PromptLookup([*PROMPT, 1, 2])
    follow(lookup, PROMPT[:4])
    early = lookup.draft(3).chances
    assert list(early) == sorted(early, reverse=True)
    follow(lookup, PROMPT[4:24])
    late = lookup.draft(3).chances
    assert late[0] > 0.95 > early[0]


def test_an_answer_that_repeats_nothing_has_no_drafts():
    lookup = PromptLookup(PROMPT)
    for token in range(1000, 1100):
        assert lookup.draft(8).tokens == ()
        lookup.take(token)


def test_a_text_that_is_often_wrong_has_little_chance():
    """Three tokens stand before, and each time something else follows."""
    lookup = PromptLookup([1, 2, 3, 50])
    for token in range(1000, 1040):
        follow(lookup, [1, 2, 3, token])
    follow(lookup, [1, 2, 3])
    assert lookup.draft(1).chances[0] < 0.1


def test_after_a_changed_word_it_goes_on_at_the_next():
    lookup = PromptLookup([*PROMPT, 1, 2])
    follow(lookup, [*PROMPT[:20], 999])
    assert lookup.draft(3).tokens == ()
    lookup.take(PROMPT[21])
    assert lookup.draft(3).tokens == tuple(PROMPT[22:25])


def test_after_words_left_out_it_goes_on_where_the_answer_does():
    lookup = PromptLookup([*PROMPT, 1, 2])
    follow(lookup, [*PROMPT[:20], PROMPT[25]])
    assert lookup.draft(3).tokens == tuple(PROMPT[26:29])


def test_a_prediction_is_drafted_from_its_beginning():
    lookup = PromptLookup(PROMPT, [11, 12, 13, 14])
    draft = lookup.draft(8)
    assert draft.tokens == (11, 12, 13, 14)  # and nothing of the prompt, which stands after it
    assert draft.is_predicted
    assert draft.chances[0] == pytest.approx(0.95)
    follow(lookup, [11, 12])
    assert lookup.draft(8).tokens == (13, 14)
    follow(lookup, [13, 14])
    assert lookup.draft(8).tokens == ()


def test_an_answer_that_went_on_after_a_crash_is_found_in_the_prediction():
    predicted = list(range(10, 40))
    answer = predicted[:12]
    lookup = PromptLookup([*PROMPT, *answer], predicted, produced=len(answer))
    draft = lookup.draft(3)
    assert draft.tokens == tuple(predicted[12:15])
    assert draft.is_predicted


def test_a_loop_is_drafted_as_far_as_it_stands_there():
    lookup = PromptLookup([5, 6] * 4)
    assert lookup.draft(8).tokens == (5, 6)
