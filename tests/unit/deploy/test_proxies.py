"""The proxies' examples pass streams and WebSockets on as they come, and wait long enough."""

import re

from tests.support.deployed import DEPLOY
from web.live.completion import PATIENCE_S
from workers.settings import Settings

NGINX = (DEPLOY / "nginx/inference-service.conf").read_text()
CADDY = (DEPLOY / "caddy/Caddyfile").read_text()


def directive(name, text=NGINX):
    """The value of a directive of nginx or Caddy."""
    return re.search(rf"^\s*{name}\s+([^;\n]+?);?$", text, re.M)[1]


def test_nginx_keeps_no_token_back_and_whole_requests_alone_reach_us():
    assert directive("proxy_buffering") == "off"
    assert directive("proxy_request_buffering") == "on"
    assert directive("gzip") == "off"


def test_nginx_carries_websockets_and_the_name_that_was_asked_for():
    assert "proxy_set_header Upgrade $http_upgrade;" in NGINX
    assert "proxy_set_header Connection $inference_connection;" in NGINX
    assert NGINX.count("proxy_set_header Host $host;") == NGINX.count("proxy_pass ")
    assert directive("proxy_http_version") == "1.1"


def test_caddy_keeps_no_token_back():
    assert directive("flush_interval", CADDY) == "-1"


def test_both_wait_longer_than_we_do_and_take_what_we_take():
    settings = Settings()
    for waits in (
        directive("proxy_read_timeout"),
        directive("response_header_timeout", CADDY),
    ):
        assert int(waits.rstrip("s")) > max(settings.request_timeout_s, PATIENCE_S)
    assert directive("client_max_body_size") == f"{settings.max_body_mb}m"
    assert directive("max_size", CADDY) == f"{settings.max_body_mb}MB"
    assert f"server 127.0.0.1:{settings.port};" in NGINX
    assert directive("health_uri", CADDY) == "/health"


def test_the_numbers_of_all_callers_are_closed():
    assert re.search(r"location = /metrics \{[^}]*deny all;", NGINX)
    assert "respond @metrics 404" in CADDY


def test_every_brace_is_closed():
    for text in (NGINX, CADDY):
        assert text.count("{") == text.count("}")
