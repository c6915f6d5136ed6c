import json
import stat

import pytest

from web.access import key_file, keys
from web.access.key_ring import KeyRing
from web.access.keys import KeysError
from workers.contract.job import Priority
from workers.settings import read


@pytest.fixture
def settings(tmp_path):
    return read({"INFERENCE_DATA_DIR": str(tmp_path)}, env_file=None)


def test_a_key_is_found_by_what_was_told_once(settings):
    text = key_file.add(settings.keys_file, "alice", Priority.LOW, 30)
    found = keys.find(key_file.read(settings.keys_file), text)
    assert (found.name, found.highest_priority, found.requests_per_minute) == (
        "alice",
        Priority.LOW,
        30,
    )
    assert keys.find(key_file.read(settings.keys_file), text + "x") is None


def test_the_file_holds_hashes_and_is_private(settings):
    text = key_file.add(settings.keys_file, "alice")
    assert text not in settings.keys_file.read_text()
    assert stat.S_IMODE(settings.keys_file.stat().st_mode) == 0o600


def test_a_name_is_given_once(settings):
    key_file.add(settings.keys_file, "alice")
    with pytest.raises(KeysError, match="alice"):
        key_file.add(settings.keys_file, "alice")


@pytest.mark.parametrize("name", ["", "a b", "../x", "é", "x" * 65])
def test_what_is_no_name_is_refused(settings, name):
    with pytest.raises(KeysError, match="no name"):
        key_file.add(settings.keys_file, name)


def test_a_revoked_key_is_gone_and_the_service_stays_shut(settings):
    key_file.add(settings.keys_file, "alice")
    ring = KeyRing(settings)
    assert key_file.revoke(settings.keys_file, "alice") == 0
    assert ring.keys() == ()
    with pytest.raises(KeysError, match="alice"):
        key_file.revoke(settings.keys_file, "alice")


def test_a_ring_sees_changes_at_the_next_request(settings):
    ring = KeyRing(settings)
    assert ring.keys() is None
    text = key_file.add(settings.keys_file, "alice")
    assert keys.find(ring.keys(), text).name == "alice"


def test_a_deleted_file_does_not_open_the_service(settings):
    key_file.add(settings.keys_file, "alice")
    ring = KeyRing(settings)
    settings.keys_file.unlink()
    assert ring.keys() == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 99, "keys": []}', '{"version": 1}'])
def test_a_file_that_is_no_file_of_keys_is_named(settings, text):
    settings.keys_file.parent.mkdir(parents=True, exist_ok=True)
    settings.keys_file.write_text(text)
    with pytest.raises(KeysError, match=r"api_keys\.json"):
        KeyRing(settings)


def test_a_ring_keeps_its_keys_when_the_file_breaks(settings):
    text = key_file.add(settings.keys_file, "alice")
    ring = KeyRing(settings)
    settings.keys_file.write_text(json.dumps({"keys": 3}))
    assert keys.find(ring.keys(), text).name == "alice"
