"""What callers predict of an answer: what is taken, and what is refused as by OpenAI."""

import pytest

from web.schemas import completion
from web.schemas.prediction import MOST_CHARACTERS
from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.contract.job import Priority
from workers.contract.sampling import sampling_from

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
TEXT = {"type": "content", "content": "a"}


def load(**fields):
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return completion.load(body, Priority.NORMAL, most_messages=10).sampling


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("x = 1\n", "x = 1\n"),
        ("", ""),
        ([{"type": "text", "text": "x = "}, {"type": "text", "text": "1"}], "x = 1"),
        ([], ""),
    ],
)
def test_a_text_or_its_parts_are_taken(content, text):
    sampling = load(prediction={"type": "content", "content": content})
    assert sampling.prediction == text
    assert sampling_from(sampling.to_dict()) == sampling
    assert sampling.without_texts().prediction == ""


def test_without_one_nothing_is_predicted():
    assert load().prediction == load(prediction=None).prediction == ""


def test_it_goes_with_one_choice_logprobs_and_penalties():
    load(prediction=TEXT, n=1, logprobs=True, presence_penalty=1, max_completion_tokens=9)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prediction": "a"}, "prediction must be an object"),
        ({"prediction": {"content": "a"}}, "prediction.type is missing"),
        ({"prediction": {"type": "text", "content": "a"}}, "prediction.type must be content"),
        ({"prediction": {"type": "content"}}, "prediction.content is missing"),
        ({"prediction": {"type": "content", "content": 7}}, "prediction.content must be a string"),
        ({"prediction": {"type": "content", "content": ["a"]}}, r"prediction.content.0 must be"),
        (
            {"prediction": {"type": "content", "content": "a" * 2**20}},
            f"prediction.content must have at most {MOST_CHARACTERS} characters",
        ),
        ({"prediction": TEXT, "n": 2}, "prediction does not go with n above 1"),
        ({"prediction": TEXT, "tools": [TOOL]}, "prediction does not go with tools"),
    ],
)
def test_what_is_no_prediction_is_refused(fields, message):
    with pytest.raises(ValidationFailed, match=message):
        load(**fields)


def test_a_picture_is_not_predicted():
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    with pytest.raises(UnsupportedParameter, match="image_url"):
        load(prediction={"type": "content", "content": [picture]})
