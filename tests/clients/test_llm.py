"""`llm` at the terminal, by an address and by its file of models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.clients import ANSWER, KEY, ONE_CALL, TOO_LONG
from tests.support.front_end import MODEL

LLM = Path(sys.executable).with_name("llm")
SHORT = ("-o", "temperature", "0", "-o", "max_tokens", "100")
CITY = json.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "inhabitants": {"enum": [1, 2]},
        },
        "required": ["name", "inhabitants"],
        "additionalProperties": False,
    }
)
FUNCTIONS = '''
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return "sunny in " + city
'''


@pytest.fixture(scope="module")
def llm(real, scripted, tmp_path_factory):
    """Runs `llm`, whose file of models has both services: as `real` and as `scripted`."""
    directory = tmp_path_factory.mktemp("llm")
    models = [
        {
            "model_id": name,
            "model_name": MODEL,
            "api_base": service.api_url,
            "api_key_name": "service",
            "supports_tools": True,
            "supports_schema": True,
        }
        for name, service in (("real", real), ("scripted", scripted))
    ]
    (directory / "extra-openai-models.yaml").write_text(yaml.safe_dump(models))
    (directory / "keys.json").write_text(json.dumps({"service": KEY}))

    def llm(*arguments):
        return subprocess.run(
            [LLM, *arguments],
            env={**os.environ, "LLM_USER_PATH": str(directory)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return llm


def test_a_chat(llm):
    answer = llm("-m", "real", "--no-stream", *SHORT, "Say hello.")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()


def test_a_stream(llm):
    """What it does by default; `-u` shows the tokens that came."""
    answer = llm("-m", "real", "-u", *SHORT, "-s", "Be brief.", "Say hello.")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()
    assert "output" in answer.stderr


def test_a_schema(llm):
    answer = llm("-m", "real", "-o", "temperature", "0", "--schema", CITY, "Name a city.")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout).keys() == {"name", "inhabitants"}


def test_an_address_alone(llm, real):
    asked = ("openai", "endpoint", real.api_url, "--key", KEY)
    assert MODEL in llm(*asked, "--models").stdout
    answer = llm(*asked, "-m", MODEL, *SHORT, "Say hello.")
    assert answer.stdout.strip(), answer.stderr


@pytest.mark.parametrize("options", [(), ("--no-stream",)])
def test_a_loop(llm, options):
    answer = llm("-m", "scripted", "--functions", FUNCTIONS, "--td", *options, ONE_CALL)
    assert answer.returncode == 0, answer.stderr
    assert "sunny in Paris" in answer.stderr
    assert answer.stdout.strip() == ANSWER


def test_a_tool_of_its_own(llm, scripted):
    asked = ("openai", "endpoint", scripted.api_url, "--key", KEY, "-m", MODEL, "--td")
    question = json.dumps(
        {
            "scripted": {
                "turns": [{"text": '{"name": "llm_version", "arguments": {}}'}, {"text": ANSWER}]
            }
        }
    )
    answer = llm(*asked, "-T", "llm_version", question)
    assert answer.stdout.strip() == ANSWER, answer.stderr
    assert "llm_version" in answer.stderr


@pytest.mark.parametrize(
    ("options", "prompt", "words"),
    [
        (("--key", "wrong"), "Say hello.", "401"),
        ((), TOO_LONG, "maximum context length"),
    ],
)
def test_a_refusal(llm, options, prompt, words):
    answer = llm("-m", "real", *options, prompt)
    assert answer.returncode != 0
    assert words in answer.stderr
