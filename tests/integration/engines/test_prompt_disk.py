"""The prompt cache on disk, with a real engine: what one worker has read, the next goes on from."""

import dataclasses
import threading

from tests.integration.engines.conftest import ask
from tests.support.waiting import wait_for
from workers.contract.job import Message

LONG = (Message("user", "One ship, two ships, three ships. " * 60),)
SHORT = (Message("system", "You are a guide. " * 20), Message("user", "Where is the ship?"))


def test_what_one_engine_has_read_others_go_on_from(real_kit, tmp_path):
    kit = dataclasses.replace(real_kit, cache_dir=tmp_path, prompt_disk_bytes=2**28)

    def files():
        return list(tmp_path.glob("prompts/*/*.prompt"))

    # A long prompt is on disk while it is answered: its engine may die from then on.
    died = kit.load()
    answer = died.generate(kit.request(messages=LONG, max_tokens=48), threading.Event())
    produced = [*next(answer).token_ids]
    (long,) = wait_for(files, 100)
    goes_on = kit.request(messages=LONG, max_tokens=8, produced=produced)
    other = kit.load()
    rest = ask(other, goes_on)
    assert rest.usage.cached_tokens >= 512
    kit.assert_right(goes_on, rest)
    died.close()

    # A short one goes there when its engine is closed. One that was changed there is read anew.
    first = ask(other, kit.request(messages=SHORT))
    other.close()
    assert len(files()) == 2
    content = bytearray(long.read_bytes())
    content[len(content) // 2] ^= 1
    long.write_bytes(content)
    last = kit.load()
    turns = (*SHORT, Message("assistant", first.text), Message("user", "And the newest?"))
    second = kit.request(messages=turns)
    answered = ask(last, second)
    assert answered.usage.cached_tokens >= first.usage.prompt_tokens
    kit.assert_right(second, answered)
    rest = ask(last, goes_on)
    assert rest.usage.cached_tokens < 64
    kit.assert_right(goes_on, rest)
