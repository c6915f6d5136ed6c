"""Phi-4: a list of JSON objects, after a mark.

    <|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]<|/tool_call|>
    functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]

The first is Phi-4-mini's, described at https://huggingface.co/microsoft/Phi-4-mini-instruct (tool
enabled function calling). The second is written by some of its releases, and by Phi-4 where it is
asked to.
"""

from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.object_family import ObjectFamily
from workers.engines.tool_calls.registry import register

_OPEN, _CLOSE, _WORD = "<|tool_call|>", "<|/tool_call|>", "functools"
_FORM = Form(opens=(_OPEN, f"{_WORD}["), closes=(_CLOSE,), in_list=True)


def _recognise_mini(template: str) -> bool:
    return "<|tool|>" in template or (_OPEN in template and "<|start_of_role|>" not in template)


register(
    ObjectFamily(
        name="phi-4-mini",
        open=_OPEN,
        close=_CLOSE,
        is_list=True,
        form=_FORM,
        recognise=lambda template: _recognise_mini(template) and f"{_WORD}[" not in template,
    )
)
register(
    ObjectFamily(
        name="phi-4",
        open=f"{_WORD}[",
        close="",
        is_list=True,
        form=_FORM,
        recognise=lambda template: f"{_WORD}[" in template,
    )
)
