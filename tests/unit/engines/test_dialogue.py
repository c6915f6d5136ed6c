"""How a model is told of tools: by its template, or as text."""

import json
import re

from presets.model import ModelSpec, Reasoning
from tests.support.chat_template_families import BOS, EOS, FAMILIES
from tests.support.tools import offered
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.job import Message
from workers.contract.sampling import Sampling
from workers.engines.base import GenerationRequest
from workers.engines.chat_template.template import CHATML, ChatTemplate
from workers.engines.dialogue import Dialogue
from workers.engines.time_budget import TimeBudget

#: Gemma's way: no system message, turns alternate.
NO_SYSTEM = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}{% endfor %}"
)
HISTORY = (
    Message("user", "Weather?"),
    Message(
        "assistant",
        tool_calls=(
            {
                "id": "call_0123456789abcdef01234567",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city": "Köln"}'},
            },
        ),
    ),
    Message("tool", "12 degrees", tool_call_id="call_0123456789abcdef01234567"),
)


def dialogue(source, reasoning=None):
    spec = ModelSpec("m", None, 100, reasoning=reasoning)
    return Dialogue(spec, source, ChatTemplate(source, BOS, EOS))


def prompt(source, messages, tools=None):
    request = GenerationRequest("id", messages, tools=tools)
    return str(dialogue(source).prompt(request, TimeBudget()))


def test_a_template_that_knows_tools_shows_them_itself():
    rendered = prompt(FAMILIES["hermes"], HISTORY, offered())
    assert "\n" + json.dumps(offered().tools[1].to_dict()) + "\n</tools>" in rendered
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Köln"}}\n' in rendered
    assert "<tool_response>\n12 degrees\n</tool_response>" in rendered


def test_a_template_that_knows_none_gets_them_as_text():
    rendered = prompt(CHATML, HISTORY, offered())
    system, _, rest = rendered.partition("<|im_end|>")
    assert json.dumps(offered().tools[1].to_dict()["function"]) in system
    assert '{"name": "get_weather", "arguments": {"city": "Köln"}}<|im_end|>' in rest
    assert "<|im_start|>user\nResult of get_weather:\n12 degrees<|im_end|>" in rest
    assert "tool" not in rest


def test_tools_that_may_not_be_called_are_not_shown():
    for source in (CHATML, FAMILIES["hermes"]):
        assert prompt(source, HISTORY, offered("none")) == prompt(source, HISTORY)
        assert "Adds two numbers" not in prompt(source, HISTORY)


def test_a_template_without_a_system_message_has_them_before_the_first_question():
    rendered = prompt(NO_SYSTEM, HISTORY, offered())
    assert rendered.startswith("<user>You can call these functions.")
    assert "\n\nWeather?<assistant>" in rendered


def test_ids_are_short_for_a_template_that_insists_on_it():
    insists = (
        "{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.id|length != 9 %}"
        "{{ raise_exception('nine!') }}{% endif %}{{ c.function.arguments }}{{ c.id }},{% endfor %}"
        "{{ m.content }}{{ m.tool_call_id }}{% endfor %}"
    )
    rendered = str(ChatTemplate(insists, BOS, EOS).render(HISTORY))
    first, second = re.findall(r"}(\w+),12 degrees(\w+)", rendered)[0]
    assert first == second
    assert re.fullmatch("[a-z0-9]{9}", first)


def test_the_form_of_an_answer():
    thinks = Reasoning("tags", "<think>", "</think>")
    talk = dialogue(CHATML, thinks)
    assert set(talk.tags) >= {"<think>", "</think>"}
    asked = GenerationRequest("id", HISTORY, tools=offered())
    form = talk.form(asked, "...<think>", lambda _text: None)
    assert form.reasoning == thinks
    assert form.splitter().thinking
    assert form.calls.tools == offered()
    assert form.calls.id_prefix == "id"
    assert form.grammar is None
    none = GenerationRequest("id", HISTORY, tools=offered("none"))
    assert talk.form(none, "", lambda _text: None).calls is None
    json_object = Sampling(constraint=Constraint(ConstraintKind.JSON_OBJECT))
    held = GenerationRequest("id", HISTORY, json_object)
    assert talk.form(held, "", lambda _text: None).grammar.param == "response_format"
