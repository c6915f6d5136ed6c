"""Which service a command asks, and with which key."""

import click
import pytest
from click.testing import CliRunner

from web.cli.connection import service_address, service_command

OWN = {
    "INFERENCE_API_KEYS": "an-ordinary-key",
    "INFERENCE_ADMIN_KEYS": "an-admin-key",
    "INFERENCE_PORT": "8099",
}


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The address that a command with these options and settings has."""
    monkeypatch.chdir(tmp_path)

    def ask(*options, admin=False, **variables):
        seen = []

        @click.command()
        @service_command
        def command():
            seen.append(service_address(admin=admin))

        done = CliRunner().invoke(command, options, env={**OWN, **variables})
        return seen[0] if seen else done

    return ask


def key(service):
    return service.headers.get("Authorization")


def test_a_service_of_this_machine_gets_its_own_keys(asked):
    own = asked()
    assert (own.url, own.is_elsewhere, own.options) == ("http://127.0.0.1:8099", False, "")
    assert key(own) == "Bearer an-ordinary-key"
    assert key(asked(admin=True)) == "Bearer an-admin-key"
    assert key(asked("--api-key", "mine", admin=True)) == "Bearer mine"


def test_a_service_elsewhere_never_gets_the_keys_of_this_one(asked):
    for there in (
        asked("--url", "https://llm.example.org/v1/"),
        asked(INFERENCE_URL="https://llm.example.org/"),
    ):
        assert (there.url, there.is_elsewhere) == ("https://llm.example.org", True)
        assert there.headers == {}
    assert key(asked("--url", "http://a", INFERENCE_API_KEY="theirs")) == "Bearer theirs"
    assert key(asked("--api-key", "mine", INFERENCE_API_KEY="theirs")) == "Bearer mine"


def test_an_option_counts_more_than_a_variable_and_is_repeated_in_hints(asked):
    there = asked("--url", "http://a:1", INFERENCE_URL="http://b:2")
    assert (there.url, there.options) == ("http://a:1", " --url http://a:1")


@pytest.mark.parametrize(
    "options",
    [
        ("--url", "192.168.1.5"),
        ("--url", "ftp://host"),
        ("--url", "http://"),
        ("--url", "http://host:99999"),
        ("--url", "http://host?x=1"),
        ("--api-key", "two words"),
        ("--api-key", "schl\u00fcssel"),
        ("--api-key", ""),
    ],
)
def test_what_is_no_address_and_no_key_is_refused(asked, options):
    refused = asked(*options)
    assert refused.exit_code == 2
    assert options[0] in refused.output
