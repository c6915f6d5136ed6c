"""Names under which the service may be asked for."""

import pytest
import tornado.testing

from web.access import hosts
from web.cli.commands import flower as flower_command
from workers.settings import read

ALLOWED = frozenset({"chat.example.org"})


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "LOCALHOST:8085",
        "localhost.:8085",
        "box.localhost:8085",
        "127.0.0.1",
        "127.0.0.1:8085",
        "192.168.1.7:8085",
        "[::1]:8085",
        "[fe80::1]",
        "chat.example.org",
        "Chat.Example.org:443",
    ],
)
def test_who_passes(host):
    assert hosts.is_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8085",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "notlocalhost",
        "2130706433",
        "chat.example.org.evil.example",
        "[evil.example]:80",
        "[::1].evil.example",
        "[::1]evil.example:80",
        "evil.example:80@127.0.0.1",
        "localhost@evil.example",
        "localhost,evil.example",
        ":8085",
    ],
)
def test_who_does_not(host):
    assert not hosts.is_allowed(host, ALLOWED)


def test_an_asterisk_lets_all_pass():
    assert hosts.is_allowed("evil.example", frozenset({"*"}))


def test_the_name_that_is_listened_on_passes():
    settings = read({"INFERENCE_HOST": "Box.lan", "INFERENCE_ALLOWED_HOSTS": "a.b"}, env_file=None)
    assert hosts.allowed_names(settings) == {"box.lan", "a.b"}


class TestFlower(tornado.testing.AsyncHTTPTestCase):
    """Flower's own command makes the class that is replaced; it refuses by name."""

    auth = None

    def get_app(self):
        import flower.command
        from celery import Celery
        from flower.urls import settings as flower_settings
        from tornado.options import options

        before = flower.command.Flower
        self.addCleanup(setattr, flower.command, "Flower", before)
        environ = {"INFERENCE_FLOWER_AUTH": self.auth} if self.auth else {}
        flower_command.check_callers(read(environ, env_file=None))
        assert flower.command.Flower is not before
        app = Celery(broker="memory://")
        self.addCleanup(app.close)
        return flower.command.Flower(
            capp=app, options=options, io_loop=self.io_loop, **flower_settings
        )

    def test_a_foreign_name_is_refused_and_told_the_setting(self):
        for path in ("/", "/static/css/flower.css", "/healthcheck"):
            answer = self.fetch(path, headers={"Host": "evil.example"})
            assert answer.code == 403
            assert b"INFERENCE_ALLOWED_HOSTS" in answer.body
        assert self.fetch("/healthcheck").code == 200


class TestFlowerWithPassword(TestFlower):
    """Every page of it asks for the password, those too that Flower itself leaves open."""

    auth = "ops:of-mine"

    def test_a_foreign_name_is_refused_and_told_the_setting(self):
        answer = self.fetch("/", headers={"Host": "evil.example"})
        assert answer.code == 403

    def test_every_page_asks_for_the_password(self):
        for path in ("/", "/metrics", "/healthcheck", "/static/css/flower.css", "/api/workers"):
            for given in ({}, {"auth_username": "ops", "auth_password": "guessed"}):
                answer = self.fetch(path, **given)
                assert answer.code == 401
                assert "Basic" in answer.headers["WWW-Authenticate"]
        known = {"auth_username": "ops", "auth_password": "of-mine"}
        assert self.fetch("/healthcheck", **known).code == 200
        assert self.fetch("/healthcheck", headers={"Authorization": "Basic \u00e9"}).code == 401
