"""Granite 3: `<|tool_call|>` and a list of JSON objects.

    <|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]

Described at https://www.ibm.com/granite/docs/models/granite (function calling). Its versions 3.0 to
3.3 write the mark as `<tool_call>` at times. Granite 4 writes as Hermes does.
"""

from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.object_family import ObjectFamily
from workers.engines.tool_calls.registry import register

_OPEN = "<|tool_call|>"

register(
    ObjectFamily(
        name="granite",
        open=_OPEN,
        close="",
        is_list=True,
        form=Form(opens=(_OPEN, "<tool_call>"), closes=("</tool_call>",), in_list=True),
        recognise=lambda template: _OPEN in template and "<|start_of_role|>" in template,
    )
)
