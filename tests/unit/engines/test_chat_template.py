"""Chat templates: as transformers renders them, within bounds, and who wrote what."""

import copy
import json
import re

import pytest

from tests.support.chat_template_families import BOS, CONVERSATIONS, EOS, FAMILIES
from workers.contract.errors import ValidationFailed
from workers.contract.job import Message, TemplateOptions
from workers.engines.chat_template.template import CHATML, ChatTemplate
from workers.engines.chat_template.traced_text import own_runs

OPTIONS = {
    "as it is": {},
    "thinking off": {"enable_thinking": False, "thinking": False},
    "thinking on": {"enable_thinking": True, "thinking": True, "controls": {"length": "long"}},
    "unknown": {"nobody_knows": [1, {"a": "b"}]},
    "a date": {"date_string": "01 Jan 2026"},
}


def template(source, **_):
    return ChatTemplate(source, BOS, EOS)


def as_transformers(source, messages, *, prompt=True, goes_on=False, **variables):
    from transformers.utils.chat_template_utils import render_jinja_template

    turns = copy.deepcopy([message.to_dict() for message in messages])
    wants_mapping = "['arguments'] +" not in source
    for function in (c["function"] for turn in turns for c in turn.get("tool_calls", ())):
        if wants_mapping:
            function["arguments"] = json.loads(function["arguments"])
    rendered, _ = render_jinja_template(
        [turns],
        chat_template=source,
        add_generation_prompt=prompt,
        continue_final_message=goes_on,
        bos_token=BOS,
        eos_token=EOS,
        **variables,
    )
    return rendered[0]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_rendered_as_transformers_renders_it(family, conversation, options):
    source, messages, variables = FAMILIES[family], CONVERSATIONS[conversation], OPTIONS[options]
    problem = None
    try:
        expected = as_transformers(source, messages, **variables)
    except Exception as error:
        problem = str(error)
    if problem is None:
        assert template(source).render(messages, TemplateOptions(variables)) == expected
    else:
        with pytest.raises(ValidationFailed, match=re.escape(problem)):
            template(source).render(messages, TemplateOptions(variables))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("said", ["The capital is", "The capital is ", " x"])
def test_a_last_message_is_continued_as_transformers_continues_it(family, said):
    source = FAMILIES[family]
    messages = (Message("user", "Capital?"), Message("assistant", said))
    expected = as_transformers(source, messages, prompt=False, goes_on=True)
    options = TemplateOptions(add_generation_prompt=False, continue_final_message=True)
    assert template(source).render(messages, options) == expected


def test_a_message_that_the_template_drops_cannot_be_continued():
    made = template("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}")
    options = TemplateOptions(add_generation_prompt=False, continue_final_message=True)
    with pytest.raises(ValidationFailed, match="cannot be continued") as refused:
        made.render((Message("user", "a"), Message("assistant", "b")), options)
    assert refused.value.details == {"param": "continue_final_message"}


@pytest.mark.parametrize("prompt", [True, False])
def test_a_prompt_may_end_without_the_answers_beginning(prompt):
    rendered = template(CHATML).render(
        (Message("user", "a"),), TemplateOptions(add_generation_prompt=prompt)
    )
    assert rendered.endswith("<|im_start|>assistant\n") is prompt


SNIPPETS = {
    "generation": "{% generation %}{{ messages[0].content }}{% endgeneration %}!",
    "tojson": "{{ {'a': ['<é>', 1.5, none]} | tojson }}"
    "{{ {'b': 1, 'a': '<é>'} | tojson(ensure_ascii=True, separators=(',', ':'), sort_keys=True) }}"
    "{{ [1, {'a': 2}] | tojson(indent=2) }}",
    "namespace": "{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}"
    "{% endfor %}{{ ns.n }}",
    "loop controls": "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}"
    "{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "loops": "{% for i in [1, 2, 3] %}{{ loop.index }}{{ loop.last }}{{ loop.previtem }}{% endfor %}"
    "{% for a in [[1, [2]], [3]] recursive %}{% if a is iterable %}({{ loop(a) }}){% else %}{{ a }}"
    "{% endif %}{% else %}-{% endfor %}",
    "trimmed blocks": "  {% if true %}\n  a\n  {% endif %}\n b\n",
    "macros": "{% macro m(a, b='x') %}{{ a ~ b }}{{ caller() if caller }}{% endmacro %}"
    "{{ m(1) }}{{ m(b=2, a='q') }}{% call m('z') %}inner{% endcall %}",
    "set blocks": "{% set x %} a {{ 1 }} {% endset %}{{ x | trim }}{% filter upper %}b{% endfilter %}",
    "texts": "{{ 'a,b'.split(',') }}{{ 'a-b'.replace('-', '+') }}{{ 'Ab' | lower }}{{ 'x' * 3 }}"
    "{{ 'abc'[::-1] }}{{ 'a' ~ 1 ~ none }}{{ '%s=%03d%%' % ('a', 7) }}{{ '{}{a}{{}}'.format(1, a=2) }}"
    "{{ ['a', 'b'] | join(', ') }}{{ 'a\nb' | indent(2) }}{{ '%s' | format('q') }}{{ ' a '.strip() }}"
    "{{ 'abc'.startswith('a') }}{{ 'k=v'.partition('=') }}{{ 'a b'.title() }}{{ 'a' in 'cat' }}",
    "values": "{{ [3, 1, 2] | sort | list }}{{ {'a': 1}.items() | list }}{{ {'a': 1} | items | list }}"
    "{{ [1, 2, 3] | sum }}{{ [[1], [2]] | sum(start=[]) }}{{ 7 // 2 }}{{ 2 ** 10 }}{{ 7 % 4 }}"
    "{{ messages | map(attribute='role') | list }}{{ undefined_name }}{{ x is defined }}"
    "{{ [1] + [2] }}{{ (1, 2) }}{{ [0] * 3 }}{{ messages[0:1] | length }}{{ 3.0 | int }}"
    "{{ [1, 2, 3, 4] | batch(2) | list }}{{ dict(a=1) }}{{ 1.25 | round(1) }}",
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_what_templates_use_does_what_it_does_in_transformers(name):
    messages = (Message("user", "hi"),)
    source = SNIPPETS[name]
    assert template(source).render(messages) == as_transformers(source, messages)


def test_now_is_written_in_the_form_that_the_template_asks_for():
    rendered = template("{{ strftime_now('%d %b %Y') }}").render((Message("user", "x"),))
    assert re.fullmatch(r"\d\d \w+ \d{4}", rendered)


def test_a_template_that_raises_says_so_in_its_own_words():
    made = template(
        "{% if messages|length > 1 %}{{ raise_exception('one at a time!') }}{% endif %}"
    )
    with pytest.raises(ValidationFailed, match="one at a time!") as refused:
        made.render((Message("user", "a"), Message("user", "b")))
    assert refused.value.details == {"param": "messages"}


PARTS = """{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}"""
EITHER = """{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}{% endif %}{% endfor %}"""


@pytest.mark.parametrize("source", [PARTS, EITHER, CHATML])
def test_a_text_reaches_a_template_that_wants_parts_and_one_that_wants_text(source):
    messages = (
        Message("system", "S<1>"),
        Message("user", "U<2>"),
        Message("assistant", "A<3>"),
        Message("user", "U<4>"),
    )
    rendered = template(source).render(messages)
    for message in messages:
        assert message.content in rendered


def test_arguments_that_are_no_object_stay_text():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "[1, broken"}}
    made = template("{% for c in messages[-1].tool_calls %}{{ c.function.arguments }}{% endfor %}")
    assert made.render((Message("assistant", tool_calls=(call,)),)) == "[1, broken"


def test_variables_of_the_request_do_not_replace_the_templates_own():
    made = template("{{ bos_token }}{{ messages[0].content }}{{ add_generation_prompt }}{{ mine }}")
    options = TemplateOptions({"bos_token": "x", "messages": [], "mine": "<BOS>"})
    rendered = made.render((Message("user", "hi"),), options)
    assert rendered == "<BOS>hiTrue<BOS>"
    assert list(own_runs(rendered)) == ["<BOS>"]
