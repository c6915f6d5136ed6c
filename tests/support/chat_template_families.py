"""Chat templates of nine families, written from their documented form, in `chat_templates/`."""

import json
from pathlib import Path

from workers.contract.job import Message

_DIRECTORY = Path(__file__).with_name("chat_templates")
#: Family -> its template.
FAMILIES = {file.stem: file.read_text() for file in sorted(_DIRECTORY.glob("*.jinja"))}
#: Family -> the texts of its special tokens.
SPECIAL = {
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "hermes": (
        "<|im_start|>",
        "<|im_end|>",
        "<tools>",
        "</tools>",
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "</tool_response>",
    ),
    "llama-3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "phi": ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    "deepseek": ("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    "granite": ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
    "mistral": ("[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    "gemma": ("<start_of_turn>", "<end_of_turn>"),
    "qwen3-coder": (
        "<|im_start|>",
        "<|im_end|>",
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "</tool_response>",
        "<think>",
        "</think>",
    ),
}
BOS, EOS = "<BOS>", "<EOS>"
ARGUMENTS = '{"city": "Köln <b>", "days": 3, "deep": {"a": [1, null, true]}}'
CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "weather", "arguments": ARGUMENTS},
}
CONVERSATIONS = {
    "a question": (Message("user", "  Né à Köln, 三, 🙂? \n"),),
    "a conversation": (
        Message("system", "Be brief.\n\n"),
        Message("user", "Hi"),
        Message("assistant", " Hello. "),
        Message("user", "a\n\n\nb"),
    ),
    "a tool call": (
        Message("user", "Weather?"),
        Message("assistant", tool_calls=(CALL,)),
        Message("tool", '{"sun": true}', tool_call_id="call00001"),
    ),
    "thoughts": (
        Message("user", "1+1?"),
        Message("assistant", "<think>\nhm\n</think>\n2", reasoning_content="hm"),
        Message("user", "2+2?"),
    ),
}


def conversation_full_of(text):
    """A conversation that has a text everywhere that a caller may send one."""
    call = {
        "id": text,
        "type": "function",
        "function": {"name": text, "arguments": json.dumps({text: text})},
    }
    return (
        Message("system", text),
        Message("user", text, name=text),
        Message("assistant", text, reasoning_content=text),
        Message("user", text),
        Message("assistant", tool_calls=(call,)),
        Message("tool", text, tool_call_id=text),
        Message("user", text),
    )
