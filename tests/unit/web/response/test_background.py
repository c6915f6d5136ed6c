"""A response in the background is taken in only where its caller learns its id."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from web.routes import responses
from workers.contract.errors import TemporaryResource


@contextmanager
def refuse():
    raise TemporaryResource
    yield


def test_a_stream_for_which_there_is_no_thread_is_not_begun(monkeypatch):
    parts = SimpleNamespace(thread=refuse, submitter=None)
    monkeypatch.setattr(responses, "services", lambda: parts)
    with pytest.raises(TemporaryResource):
        responses._in_background(SimpleNamespace(stream=True))
