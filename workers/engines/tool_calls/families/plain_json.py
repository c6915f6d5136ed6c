"""JSON alone, for models whose template knows no tools: `prompt` asks for it.

    {"name": "get_weather", "arguments": {"city": "Paris"}}

Several calls are a list of such objects. Small models put them into a fence, or after a sentence on
a line of their own: that is read too.
"""

from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.object_family import ObjectFamily
from workers.engines.tool_calls.registry import FALLBACK, register

register(
    ObjectFamily(
        name=FALLBACK,
        open="",
        close="",
        is_list=True,
        form=Form(bare="{[", fences=("```json", "```"), closes=("```",), in_list=True),
        recognise=lambda template: False,
    )
)
