"""instructor: objects of a class, by a tool that must be called or by a schema."""

import instructor
import openai
import pydantic
import pytest
from instructor.core.exceptions import InstructorRetryException

from tests.support.clients import KEY, TOO_LONG, City, call, question
from tests.support.front_end import MODEL

HELLO = [{"role": "user", "content": "Name a city."}]
ASKED = {"model": MODEL, "messages": HELLO, "temperature": 0}
MODES = [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS_STRICT]


def open_client(service, key=KEY, **options):
    client = openai.OpenAI(base_url=service.api_url, api_key=key, max_retries=0)
    return instructor.from_openai(client, **options)


def test_an_object_as_it_is_asked_for_by_default(real):
    assert isinstance(open_client(real).create(response_model=City, **ASKED), City)


@pytest.mark.parametrize("mode", MODES)
def test_an_object_in_each_mode(real, mode):
    client = open_client(real, mode=mode)
    assert isinstance(client.create(response_model=City, **ASKED), City)


def test_an_object_that_grows(real):
    *_, last = open_client(real).create_partial(response_model=City, **ASKED)
    assert last.name is not None
    assert last.inhabitants is not None


def test_several_objects(scripted):
    texts = call("IterableCity", tasks=[{"name": "Paris", "inhabitants": 1}] * 2)
    messages = [{"role": "user", "content": question(texts)}]
    cities = open_client(scripted).create_iterable(
        response_model=City, model=MODEL, messages=messages
    )
    assert [city.name for city in cities] == ["Paris", "Paris"]


def test_an_object_that_is_asked_for_again(scripted):
    """What is wrong is sent back as the result of the call; the next one is right."""

    class Known(City):
        @pydantic.field_validator("name")
        @classmethod
        def is_known(cls, name):
            if name != "Paris":
                raise ValueError("There is no such city.")
            return name

    texts = [call("Known", name=name, inhabitants=1) for name in ("Sirap", "Paris")]
    messages = [{"role": "user", "content": question(*texts)}]
    assert open_client(scripted).create(response_model=Known, model=MODEL, messages=messages)


def test_a_wrong_key(real):
    with pytest.raises((openai.AuthenticationError, InstructorRetryException), match="401"):
        open_client(real, "wrong").create(response_model=City, **ASKED)


def test_too_many_requests(scripted, used_up_key):
    with pytest.raises((openai.RateLimitError, InstructorRetryException), match="429"):
        open_client(scripted, used_up_key).create(response_model=City, max_retries=0, **ASKED)


def test_a_prompt_that_is_too_long(real):
    long = [{"role": "user", "content": TOO_LONG}]
    with pytest.raises(Exception, match="context_length_exceeded"):
        open_client(real).create(response_model=City, model=MODEL, messages=long, max_retries=0)
