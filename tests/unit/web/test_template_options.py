"""What callers may ask of a chat template, and what becomes of it in the job."""

import pytest

from web.schemas import completion
from workers.contract.errors import ValidationFailed
from workers.contract.job import Job, Message, Priority, TemplateOptions

ASKS = [{"role": "user", "content": "hi"}]
BEGUN = [*ASKS, {"role": "assistant", "content": "The answer"}]


def load(messages=ASKS, **fields):
    body = {"model": "m", "messages": messages, **fields}
    return completion.load(body, Priority.NORMAL, most_messages=10)


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, TemplateOptions()),
        (
            {"chat_template_kwargs": {"enable_thinking": False, "deep": {"a": [1]}}},
            TemplateOptions({"enable_thinking": False, "deep": {"a": [1]}}),
        ),
        ({"reasoning_effort": "high"}, TemplateOptions({"reasoning_effort": "high"})),
        (
            {"reasoning_effort": "none"},
            TemplateOptions(
                {"reasoning_effort": "none", "enable_thinking": False, "thinking": False}
            ),
        ),
        (
            {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}},
            TemplateOptions(
                {"reasoning_effort": "none", "enable_thinking": True, "thinking": False}
            ),
        ),
        ({"add_generation_prompt": False}, TemplateOptions(add_generation_prompt=False)),
        ({"chat_template_kwargs": None, "reasoning_effort": None}, TemplateOptions()),
    ],
)
def test_options_of_the_template(fields, options):
    asked = load(**fields)
    assert asked.template == options
    assert asked.ignored == ()


@pytest.mark.parametrize("fields", [{}, {"add_generation_prompt": False}])
def test_a_last_message_goes_on(fields):
    asked = load(BEGUN, continue_final_message=True, **fields)
    assert asked.template == TemplateOptions({}, False, True)


def deep(levels):
    value = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"chat_template_kwargs": []}, "chat_template_kwargs"),
        ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs.messages"),
        ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools"),
        ({"chat_template_kwargs": {"bos_token": "x"}}, "chat_template_kwargs.bos_token"),
        ({"chat_template_kwargs": {"chat_template": "x"}}, "chat_template_kwargs.chat_template"),
        ({"chat_template_kwargs": {"range": 1}}, "chat_template_kwargs.range"),
        ({"chat_template_kwargs": {"a-b": 1}}, "chat_template_kwargs.a-b"),
        ({"chat_template_kwargs": {"": 1}}, "chat_template_kwargs."),
        (
            {"chat_template_kwargs": {"continue_final_message": True}},
            "chat_template_kwargs.continue_final_message",
        ),
        ({"chat_template_kwargs": {f"a{n}": 1 for n in range(33)}}, "chat_template_kwargs"),
        ({"chat_template_kwargs": deep(9)}, "chat_template_kwargs"),
        ({"chat_template_kwargs": {"a": "x" * 20_000}}, "chat_template_kwargs"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"add_generation_prompt": "yes"}, "add_generation_prompt"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"continue_final_message": 1}, "continue_final_message"),
    ],
)
def test_what_is_refused_by_name(fields, param):
    with pytest.raises(ValidationFailed) as refused:
        load(**fields)
    assert refused.value.details["param"] == param


def test_one_message_goes_on_or_another_begins():
    with pytest.raises(ValidationFailed, match="does not go with add_generation_prompt"):
        load(BEGUN, continue_final_message=True, add_generation_prompt=True)


def test_a_job_keeps_them_and_one_of_an_older_version_has_none():
    options = TemplateOptions({"enable_thinking": False}, False, True)
    job = Job("j", "m", (Message("user", "x"),), created=1, template=options)
    data = job.to_dict()
    assert Job.from_dict(data) == job
    del data["template"]
    assert Job.from_dict(data).template == TemplateOptions()
    assert options.of_a_step() == TemplateOptions({"enable_thinking": False})
