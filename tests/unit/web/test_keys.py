import dataclasses
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
    key = keys.find(key_file.read(settings.keys_file), text)
    assert (key.name, key.highest_priority, key.requests_per_minute) == (
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


def ids(settings):
    return {key.name: key.id for key in key_file.read(settings.keys_file)}


def of_environment(api="", admin=""):
    given = {"INFERENCE_API_KEYS": api, "INFERENCE_ADMIN_KEYS": admin}
    return keys.of_environment(read({k: v for k, v in given.items() if v}, env_file=None))


def test_a_name_that_is_given_again_is_another_owner(settings):
    key_file.add(settings.keys_file, "alice")
    before = ids(settings)["alice"]
    key_file.revoke(settings.keys_file, "alice")
    key_file.add(settings.keys_file, "alice")
    assert ids(settings)["alice"] != before


def test_a_rotated_key_keeps_its_id_and_what_it_allows(settings):
    old = key_file.add(settings.keys_file, "alice", Priority.LOW, 30, admin=True)
    (before,) = key_file.read(settings.keys_file)
    new = key_file.rotate(settings.keys_file, "alice")
    (after,) = key_file.read(settings.keys_file)
    assert keys.find([after], new) is after
    assert keys.find([after], old) is None
    assert after.rotated
    same = dataclasses.replace(before, sha256=after.sha256, rotated=after.rotated)
    assert after == same


def test_the_old_text_is_valid_until_its_grace_is_over(settings, monkeypatch):
    texts = [key_file.add(settings.keys_file, "alice")]
    texts += [key_file.rotate(settings.keys_file, "alice", grace_s=3600) for _ in range(2)]
    (key,) = key_file.read(settings.keys_file)
    assert [keys.find([key], text) for text in texts] == [None, key, key]
    monkeypatch.setattr("time.time", lambda: key.former_until)
    assert [keys.find([key], text) for text in texts] == [None, None, key]


def test_a_key_that_is_not_there_is_not_rotated(settings):
    with pytest.raises(KeysError, match="bob"):
        key_file.rotate(settings.keys_file, "bob")


def test_a_key_of_the_version_before_goes_on_as_the_owner_that_it_was(settings):
    """Its jobs have its name as their owner; the next key of that name is another."""
    text = key_file.add(settings.keys_file, "alice")
    entry = json.loads(settings.keys_file.read_text())["keys"][0]
    kept = ("name", "sha256", "highest_priority", "requests_per_minute", "created")
    file = {"version": 1, "keys": [{name: entry[name] for name in kept}]}
    settings.keys_file.write_text(json.dumps(file))
    key = keys.find(key_file.read(settings.keys_file), text)
    assert (key.id, key.admin) == ("alice", False)
    key_file.rotate(settings.keys_file, "alice")
    assert ids(settings) == {"alice": "alice"}
    key_file.revoke(settings.keys_file, "alice")
    key_file.add(settings.keys_file, "alice")
    assert ids(settings)["alice"] != "alice"


def test_keys_of_the_environment_keep_their_ids_when_their_neighbours_change():
    alpha, beta = of_environment("alpha,beta")
    (alone,) = of_environment("beta")
    assert alone.id == beta.id != alpha.id
    assert [key.id for key in of_environment("beta,alpha")] == [beta.id, alpha.id]
    (of_admin,) = of_environment(admin="beta")
    assert (of_admin.id, of_admin.admin) == (beta.id, True)
    assert "beta" not in beta.id


def test_a_key_that_stands_in_both_variables_is_one_and_an_admins():
    of_both = of_environment("alpha,beta", "beta")
    assert [(key.name, key.admin) for key in of_both] == [("env-admin-1", True), ("env-1", False)]


def test_commands_send_an_admin_key_only_where_they_need_it():
    settings = read({"INFERENCE_API_KEYS": "a", "INFERENCE_ADMIN_KEYS": "b"}, env_file=None)
    assert keys.authorization(settings) == {"Authorization": "Bearer a"}
    assert keys.authorization(settings, admin=True) == {"Authorization": "Bearer b"}
