"""Hermes and Qwen: `<tool_call>`, a JSON object, `</tool_call>`, for each call.

    <tool_call>
    {"name": "get_weather", "arguments": {"city": "Paris"}}
    </tool_call>

Described at https://github.com/NousResearch/Hermes-Function-Calling, and in the chat templates of
Qwen2.5, Qwen3, SmolLM3 and Granite 4.
"""

from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.object_family import ObjectFamily
from workers.engines.tool_calls.registry import register

OPEN, CLOSE = "<tool_call>", "</tool_call>"

register(
    ObjectFamily(
        name="hermes",
        open=OPEN,
        close=CLOSE,
        is_list=False,
        form=Form(opens=(OPEN,), closes=(CLOSE,), in_list=True),
        recognise=lambda template: OPEN in template and "<function=" not in template,
    )
)
