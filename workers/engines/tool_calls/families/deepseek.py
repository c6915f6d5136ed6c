"""DeepSeek: marks around all calls, around each, and between the name and the arguments.

    <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather
    ```json
    {"city": "Paris"}
    ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>

Described by the chat templates of DeepSeek-V3 and R1. From V3.1 on a call has neither the word nor
the fence, and all stands on one line:

    <｜tool▁calls▁begin｜>
    <｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜>
    <｜tool▁calls▁end｜>

Described at https://huggingface.co/deepseek-ai/DeepSeek-V3.1 (ToolCall).
"""

import re

from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.named_family import NamedFamily
from workers.engines.tool_calls.registry import register

_BEGIN, _END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL, _CALL_END, _SEP = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_FENCE, _FENCE_END = "\n```json\n", "\n```"
_FORM = Form(opens=(_BEGIN, _CALL), closes=("```", _CALL_END, _END))
_HEAD = re.compile(
    rf"(?:{_CALL})?\s*(?:function\s*{_SEP}\s*)?(?P<name>[^\s{{}}<`]+)\s*(?:{_SEP}\s*)?(?:```(?:json)?\s*)?"
)

register(
    NamedFamily(
        name="deepseek",
        begin=_BEGIN,
        before=f"{_CALL}function{_SEP}",
        between=_FENCE,
        after=f"{_FENCE_END}{_CALL_END}",
        separator="\n",
        end=_END,
        form=_FORM,
        head=_HEAD,
        others=(_SEP,),
        recognise=lambda template: _BEGIN in template and "```json" in template,
    )
)
register(
    NamedFamily(
        name="deepseek-v3.1",
        begin=_BEGIN,
        before=_CALL,
        between=_SEP,
        after=_CALL_END,
        end=_END,
        form=_FORM,
        head=_HEAD,
        others=(_SEP,),
        recognise=lambda template: _BEGIN in template and "```json" not in template,
    )
)
