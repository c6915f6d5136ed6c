"""Which family a model has: the one its file names, or the one its template asks for."""

import pytest

from presets.catalogue import Catalogue
from tests.support.chat_template_families import FAMILIES as TEMPLATES
from workers.contract.errors import ModelLoadFailed
from workers.engines.tool_calls.registry import FALLBACK, families, find, knows_tools, register

#: What the templates of each family have where they are given tools.
SAYS = {
    "hermes": '{% if tools %}<tool_call>\n{"name": <function-name>}\n</tool_call>{% endif %}',
    "qwen3-coder": "{% for tool in tools %}<tool_call>\n<function=f>\n<parameter=p>{% endfor %}",
    "llama-json": '{{ tools }}<|start_header_id|>{"name": f, "parameters": {}}<|python_tag|>',
    "llama-pythonic": "<|start_header_id|>{{ tools }} [func_name1(params_name1=params_value1)]",
    "mistral": "[AVAILABLE_TOOLS]{{ tools | tojson }}[TOOL_CALLS]",
    "mistral-args": "[AVAILABLE_TOOLS]{{ tools | tojson }}[TOOL_CALLS]{{ name }}[ARGS]",
    "deepseek": "{% if tools %}{% endif %}<｜tool▁calls▁begin｜>{{ '\\n```json\\n' }}",
    "deepseek-v3.1": "{%- if tools is defined %}{% endif %}<｜tool▁calls▁begin｜>",
    "granite": "<|start_of_role|>{{ tools | tojson }}<|tool_call|>",
    "phi-4-mini": "<|system|>{{ message['content'] }}<|tool|>{{ tools }}<|/tool|>",
    "phi-4": "{{ tools }} use functools[{}]",
    "harmony": "<|start|>{% if tools %}commentary{% endif %}<|channel|>analysis",
}


@pytest.mark.parametrize("name", families())
def test_a_template_is_of_one_family(name):
    if name == FALLBACK:
        return
    assert find(None, SAYS[name]).name == name
    assert [f.name for f in families().values() if f.recognises(SAYS[name])] == [name]


@pytest.mark.parametrize("name", TEMPLATES)
def test_whole_templates(name):
    """All but one write calls of the history alone, which says nothing of tools."""
    template = TEMPLATES[name]
    assert knows_tools(template) is (name == "hermes")
    assert find(None, template).name == ("hermes" if name == "hermes" else FALLBACK)


@pytest.mark.parametrize(
    ("template", "knows"),
    [
        ("{% if tools is not none %}", True),
        ("{%- for tool in tools | list %}", True),
        ("{{- tools | tojson }}", True),
        ("{{ message['tools'] }}{{ message.tools }}{{ builtin_tools }}", False),
        ('{{ "You have no tools" }} tools', False),
        ("{{ 'it\\'s tools' }}{# tools #}", False),
        ("", False),
    ],
)
def test_whether_a_template_knows_tools(template, knows):
    assert knows_tools(template) is knows


def test_the_catalogue_names_a_family():
    assert find("mistral", SAYS["hermes"]).name == "mistral"
    with pytest.raises(ModelLoadFailed, match=r"'hermse'; known: deepseek, .*hermes"):
        find("hermse", "")


def test_the_shipped_catalogue_names_families_that_are_there():
    named = {model.tools for model in Catalogue.load(None, "llamacpp").all()}
    assert named - {None} <= set(families())


def test_two_families_of_one_name():
    register(families()["hermes"])
    with pytest.raises(ValueError, match="two families of calls are called 'hermes'"):
        register(type("Other", (), {"name": "hermes"})())
