from pathlib import Path

import pytest

from workers.settings import Settings, SettingsError, pages, read, warnings
from workers.settings.table import variables

ROOT = Path(__file__).parents[3]


def problems(**environ):
    with pytest.raises(SettingsError) as refused:
        read(environ, env_file=None)
    return str(refused.value)


def test_without_anything_set_the_defaults_hold():
    assert read({}, env_file=None) == Settings()


def test_an_empty_variable_is_an_unset_one():
    assert read({"INFERENCE_PORT": " "}, env_file=None).port == 8085


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("INFERENCE_PORT=1234\nINFERENCE_GRACE_S=7\n")
    settings = read({"INFERENCE_PORT": "4321"}, env_file=file)
    assert (settings.port, settings.grace_s) == (4321, 7)
    assert settings.sources["port"] == "environment"
    assert settings.sources["grace_s"] == ".env"
    assert settings.sources["host"] == "default"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INFERENCE_PORT", "0"),
        ("INFERENCE_PORT", "eighty"),
        ("INFERENCE_LOG_LEVEL", "LOUD"),
        ("INFERENCE_LOG_LEVELS", "web.edge"),
        ("INFERENCE_LOG_LEVELS", "web.edge=LOUD"),
        ("INFERENCE_LOG_LEVELS", "websockets=DEBUG"),
        ("INFERENCE_LOG_MAX_MB", "0"),
        ("INFERENCE_MAX_CONCURRENT_PER_MODEL", "0"),
        ("INFERENCE_PRIORITY_LEVELS", "4"),
        ("INFERENCE_DEFAULT_PRIORITY", "9"),
        ("INFERENCE_QUEUE_STRATEGY", "lifo"),
        ("INFERENCE_REJECT_WHEN_FULL", "perhaps"),
        ("INFERENCE_CRITIQUE_THRESHOLD", "1.5"),
        ("INFERENCE_MODEL_ROLES", "{"),
        ("INFERENCE_AUTO_ROUTE_STRATEGY", "luck"),
        ("INFERENCE_BACKEND", "ollama"),
        ("INFERENCE_REQUEST_TIMEOUT", "nan"),
        ("OTEL_ENABLED", "2"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ],
)
def test_a_bad_value_names_the_variable_its_value_and_what_is_allowed(name, value):
    messages = problems(**{name: value})
    assert name in messages
    assert repr(value) in messages
    assert "allowed: " in messages


def test_every_bad_value_is_told_at_once():
    messages = problems(INFERENCE_PORT="x", INFERENCE_GRACE_S="y")
    assert "INFERENCE_PORT" in messages
    assert "INFERENCE_GRACE_S" in messages


def test_a_secret_is_not_repeated():
    messages = problems(INFERENCE_REDIS_URL="http://:hunter2@localhost")
    assert "INFERENCE_REDIS_URL" in messages
    assert "rediss://" in messages
    assert "hunter2" not in messages
    assert "hunter2" not in problems(INFERENCE_API_KEYS="hunter2 with blanks,\x01")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        (
            {"INFERENCE_QUEUE_STRATEGY": "fifo", "INFERENCE_PRIORITY_ENABLED": "true"},
            ("INFERENCE_QUEUE_STRATEGY", "INFERENCE_PRIORITY_ENABLED"),
        ),
        ({"INFERENCE_SWAP": "true"}, ("INFERENCE_SWAP", "INFERENCE_LOAD_ON_DEMAND")),
        ({"INFERENCE_AUTOSCALED": "true"}, ("INFERENCE_AUTOSCALED", "INFERENCE_LOAD_ON_DEMAND")),
        (
            {"INFERENCE_MAX_CONCURRENT_REQUESTS": "500"},
            ("INFERENCE_MAX_CONCURRENT_REQUESTS", "INFERENCE_WEB_THREADS"),
        ),
        ({"INFERENCE_FLOWER_PORT": "8085"}, ("INFERENCE_FLOWER_PORT", "INFERENCE_PORT")),
    ],
)
def test_two_that_contradict_are_both_named(environ, named):
    messages = problems(**environ)
    assert all(name in messages for name in named)


@pytest.mark.parametrize(
    ("environ", "strategy"),
    [
        ({}, "priority"),
        ({"INFERENCE_PRIORITY_ENABLED": "false"}, "fifo"),
        ({"INFERENCE_PRIORITY_ENABLED": "true"}, "priority"),
        ({"INFERENCE_QUEUE_STRATEGY": "fifo"}, "fifo"),
    ],
)
def test_the_queue_strategy(environ, strategy):
    assert read(environ, env_file=None).effective_queue_strategy == strategy


@pytest.mark.parametrize(
    ("environ", "host", "is_open"),
    [
        ({}, "127.0.0.1", False),
        ({"INFERENCE_API_KEYS": "a-key-of-some-length"}, "0.0.0.0", True),
        ({"INFERENCE_HOST": "0.0.0.0"}, "0.0.0.0", True),
        ({"INFERENCE_HOST": "::1"}, "::1", False),
    ],
)
def test_where_the_service_listens(environ, host, is_open, tmp_path):
    settings = read({**environ, "INFERENCE_DATA_DIR": str(tmp_path)}, env_file=None)
    assert settings.effective_host == host
    assert settings.is_open is is_open


def test_an_open_service_without_keys_is_warned_of(tmp_path):
    environ = {"INFERENCE_HOST": "0.0.0.0", "INFERENCE_DATA_DIR": str(tmp_path)}
    messages = warnings(read(environ, env_file=None), environ, env_file=None)
    assert any("open to the network" in line for line in messages)


def test_a_misspelt_name_is_warned_of_with_the_nearest():
    environ = {"INFERENCE_PROT": "8085", "INFERENCE_XYZZY": "1"}
    messages = warnings(read(environ, env_file=None), environ, env_file=None)
    assert "there is no setting INFERENCE_PROT; did you mean INFERENCE_PORT?" in messages
    assert "there is no setting INFERENCE_XYZZY" in messages


def test_the_written_pages_are_those_of_the_table():
    """Made anew by: inference-service config --markdown, and --env-example."""
    assert (ROOT / "docs/SETTINGS.md").read_text() == pages.markdown()
    assert (ROOT / ".env.example").read_text() == pages.env_example()


def test_the_example_sets_nothing_that_is_not_allowed(tmp_path):
    text = (ROOT / ".env.example").read_text()
    file = tmp_path / ".env"
    file.write_text(text.replace("\n#INFERENCE_", "\nINFERENCE_").replace("\n#OTEL_", "\nOTEL_"))
    chosen = read({}, env_file=file)
    for name, variable, default in variables():
        if not variable.unset:
            assert getattr(chosen, name) == default, variable.name


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("INFERENCE_WEBHOOK_SECRET", "prod:abc", "***"),
        ("INFERENCE_API_KEYS", "https://one,two:b", "***,***"),
        ("INFERENCE_REDIS_URL", "redis://me:pw@host:1/2", "redis://me:***@host:1/2"),
        ("INFERENCE_REDIS_URL", "redis://host/0?password=pw", "redis://host/0?***"),
        ("INFERENCE_REDIS_URL", "redis://host:6379", "redis://host:6379"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:pw@host", "http://me:***@host"),
    ],
)
def test_a_secret_is_shown_masked_and_of_an_address_all_but_its_password(name, value, shown):
    settings = read({name: value}, env_file=None)
    (masked,) = [
        variable.shown(getattr(settings, field))
        for field, variable, _ in variables()
        if variable.name == name
    ]
    assert masked == shown


def test_flower_is_open_to_others_only_with_a_password():
    told = problems(INFERENCE_FLOWER_HOST="0.0.0.0")
    assert "INFERENCE_FLOWER_AUTH" in told
    open_ = {"INFERENCE_FLOWER_HOST": "0.0.0.0", "INFERENCE_FLOWER_AUTH": "ops:of-mine"}
    assert read(open_, env_file=None).flower_is_open
    assert "of-mine" not in problems(INFERENCE_FLOWER_AUTH="of-mine")
    assert not read({"INFERENCE_FLOWER_HOST": "::1"}, env_file=None).flower_is_open
    assert read({"INFERENCE_FLOWER_HOST": "::1"}, env_file=None).flower_bind == "[::1]:5555"


@pytest.mark.parametrize(
    ("environ", "sends", "address"),
    [
        ({}, False, "http://localhost:4317"),
        ({"OTEL_ENABLED": "true"}, True, "http://localhost:4317"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, False, "http://localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:pw@host"}, True, "http://me:***@host"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host", "OTEL_ENABLED": "no"},
            False,
            "http://host",
        ),
    ],
)
def test_traces_are_sent_where_there_is_an_endpoint(environ, sends, address):
    settings = read(environ, env_file=None)
    assert (settings.sends_traces, settings.otel_address) == (sends, address)
