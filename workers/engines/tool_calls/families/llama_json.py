"""Llama 3: a JSON object, after `<|python_tag|>` or alone.

    {"name": "get_weather", "parameters": {"city": "Paris"}}

Several stand in a row with `;` between them. Described at
https://www.llama.com/docs/model-cards-and-prompt-formats/llama3_1/ (JSON based tool calling).
"""

from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.object_family import ObjectFamily
from workers.engines.tool_calls.registry import register

_MARK = "<|python_tag|>"


def _recognise(template: str) -> bool:
    return "<|start_header_id|>" in template and '"parameters"' in template


register(
    ObjectFamily(
        name="llama-json",
        open="",
        close="",
        is_list=False,
        separator="; ",
        arguments="parameters",
        form=Form(opens=(_MARK,), bare="{[", closes=(";",), in_list=True),
        recognise=_recognise,
    )
)
