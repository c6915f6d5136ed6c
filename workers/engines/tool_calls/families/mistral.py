"""Mistral: `[TOOL_CALLS]`, then a list of JSON objects; newer models name each call after it.

    [TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}}]
    [TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}

Described at https://docs.mistral.ai/capabilities/function_calling and in the tokenizers of
mistral-common: the list up to version 7, the names from version 11 on. The templates refuse ids of
calls that are no nine letters and digits.
"""

import re

from workers.engines.tool_calls.call_writer import CallWriter, short_id
from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.named_family import NamedFamily
from workers.engines.tool_calls.named_reader import NamedReader
from workers.engines.tool_calls.object_family import ObjectFamily
from workers.engines.tool_calls.object_reader import ObjectReader
from workers.engines.tool_calls.reader import Reader
from workers.engines.tool_calls.registry import register

_OPEN, _ARGS, _ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
_FORM = Form(opens=(_OPEN,), in_list=True)
_HEAD = re.compile(r"(?P<name>[^\s\[\]{}]+)\s*(?:\[CALL_ID\]\s*[A-Za-z0-9]*\s*)?(?:\[ARGS\]\s*)?")


def _reader(writer: CallWriter, mark: str, in_list: bool) -> Reader:
    return ObjectReader(writer) if in_list else NamedReader(writer, _HEAD)


register(
    ObjectFamily(
        name="mistral",
        open=_OPEN,
        close="",
        is_list=True,
        form=_FORM,
        recognise=lambda template: _OPEN in template and _ARGS not in template,
        reader=_reader,
        make_id=short_id,
    )
)
register(
    NamedFamily(
        name="mistral-args",
        before=_OPEN,
        between=_ARGS,
        after="",
        form=_FORM,
        head=_HEAD,
        recognise=lambda template: _OPEN in template and _ARGS in template,
        others=(_ARGS, _ID),
        reader=_reader,
        make_id=short_id,
    )
)
