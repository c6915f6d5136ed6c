"""Modes on the shipped model, through the official client."""

import pytest

from presets.catalogue import Catalogue
from tests.modes.conftest import up
from tests.support.service import Service

QUESTION = [{"role": "user", "content": "What is the capital city of France? One sentence."}]
#: Preset -> the model that answers, and the parts of its first round.
PRESETS = {
    "demo-pipeline": ("smollm2-135m", ["draft", "refine", "validate"]),
    "demo-critique": ("smollm2-135m", ["generator", "critic"]),
    "demo-debate": ("smollm2-135m", ["participant", "participant"]),
    "demo-ensemble": ("smollm2-135m", ["member", "member", "member"]),
    "D1": ("phi-4", ["draft", "validate"]),
    "D3": ("phi-4", ["participant", "participant"]),
    "D4": ("qwen2.5-7b", ["generator", "critic"]),
    "T2": ("phi-4", ["member", "member", "member"]),
    "T3": ("deepseek-r1-7b", ["draft", "refine", "validate"]),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_answers_plain_and_streamed(tmp_path, models_dir, preset):
    lead, parts = PRESETS[preset]
    environment = {"INFERENCE_MODELS_DIR": str(models_dir)}
    with Service(tmp_path / "data", command=up(preset), **environment) as service:
        client = service.openai().with_options(timeout=120)
        mode = Catalogue.load(None, "llamacpp").preset(preset).mode
        ask = {"model": lead, "messages": QUESTION, "max_tokens": 24, "temperature": 0}
        plain = client.chat.completions.create(**ask)
        assert "Paris" in plain.choices[0].message.content
        orchestration = plain.model_extra["orchestration"]
        assert orchestration["mode"] == mode
        assert [step["role"] for step in orchestration["steps"]][: len(parts)] == parts
        tokens = [step["tokens"]["completion"] for step in orchestration["steps"]]
        assert plain.usage.completion_tokens == sum(tokens) > 0

        stream = client.chat.completions.create(**ask, stream=True)
        texts = [c.choices[0].delta.content or "" for c in stream if c.choices]
        assert "Paris" in "".join(texts)
