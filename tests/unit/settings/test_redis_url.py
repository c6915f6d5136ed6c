"""One reading of Redis addresses for three libraries."""

import ssl

import pytest
from kombu import Connection

from workers import broker
from workers.settings import SettingsError, read, redis_url
from workers.settings.kinds import NotAllowed

HOST = (("h", 6379),)


def parsed(text):
    return redis_url.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://h", {"hosts": HOST, "database": 0, "user": None, "password": None}),
        ("redis://h:6379?db=3", {"hosts": HOST, "database": 3}),
        ("redis://h/3", {"hosts": HOST, "database": 3}),
        ("redis://h/3?db=3", {"hosts": HOST, "database": 3}),
        ("redis://[::1]:7000/", {"hosts": (("::1", 7000),), "path": None}),
        ("redis://me:p%40%2F%23%3Bw@h", {"user": "me", "password": "p@/#;w"}),
        ("redis://:pw@h", {"user": None, "password": "pw"}),
        ("redis://h?password=p%25w&username=me", {"user": "me", "password": "p%w"}),
        ("unix:///run/r.sock?db=2", {"path": "/run/r.sock", "database": 2, "hosts": ()}),
        ("unix://me:pw@/r.sock", {"path": "/r.sock", "user": "me", "password": "pw"}),
        ("unix:///a%20b/%23%3F%2541;[x]", {"path": "/a b/#?%41;[x]"}),
        (
            "sentinel://me:pw@a,b:7001/4?master_name=m&sentinel_password=s",
            {
                "hosts": (("a", 26379), ("b", 7001)),
                "database": 4,
                "master_name": "m",
                "sentinel_options": {"password": "s"},
                "password": "pw",
            },
        ),
        (
            "redis://h?client_name=me&socket_timeout=9&socket_keepalive=no",
            {"options": {"client_name": "me", "socket_timeout": 9.0, "socket_keepalive": False}},
        ),
    ],
)
def test_what_an_address_says(text, expected):
    address = parsed(text)
    assert {name: getattr(address, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("spelled", "verification"),
    [
        ("", ssl.CERT_REQUIRED),
        ("?ssl_cert_reqs=required", ssl.CERT_REQUIRED),
        ("?ssl_cert_reqs=CERT_REQUIRED", ssl.CERT_REQUIRED),
        ("?ssl_cert_reqs=Optional", ssl.CERT_OPTIONAL),
        ("?ssl_cert_reqs=CERT_OPTIONAL", ssl.CERT_OPTIONAL),
        ("?ssl_cert_reqs=none", ssl.CERT_NONE),
        ("?ssl_cert_reqs=cert_none", ssl.CERT_NONE),
    ],
)
def test_tls_checks_the_server_unless_the_address_says_otherwise(spelled, verification):
    tls = parsed(f"rediss://h/0{spelled}").tls
    assert tls == {
        "ssl_cert_reqs": verification,
        "ssl_check_hostname": verification is not ssl.CERT_NONE,
    }
    assert parsed("redis://h").tls is None


def test_tls_through_sentinel_is_to_the_sentinels_and_to_the_server():
    address = parsed("rediss+sentinel://h?master_name=m&sentinel_username=w&ssl_cert_reqs=none")
    tls = {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}
    assert (address.scheme, address.tls) == ("sentinel", tls)
    assert address.sentinel_options == {"username": "w", "ssl": True, **tls}
    assert address.kombu_url() == "sentinel://h:26379/0"


def test_tls_takes_files_that_can_be_read(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("x")
    tls = parsed(f"rediss://h?ssl_ca_certs={file}&ssl_check_hostname=false").tls
    assert tls["ssl_ca_certs"] == str(file)
    assert tls["ssl_check_hostname"] is False
    with pytest.raises(NotAllowed, match="ssl_ca_certs with the path of a file"):
        parsed(f"rediss://h?ssl_ca_certs={tmp_path / 'none.pem'}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://h", "redis://host:6379/0"),
        ("redis+socket:///s", "unix:///path"),
        ("redis://", "with a host"),
        ("redis://h:x", "a port from 1 to 65535"),
        ("redis://h:0", "a port from 1 to 65535"),
        ("redis://h:99999", "a port from 1 to 65535"),
        ("redis://[::1", "redis://host:6379/0"),
        ("redis://a,b", "several are for sentinel"),
        ("redis://h/x", "a database from 0"),
        ("redis://h/-1", "a database from 0"),
        ("redis://h?db=", "a database from 0"),
        ("redis://h/1?db=2", "one database"),
        ("redis://h?db=1&db=2", "once"),
        ("redis://:hunter2#x@h", "%23"),
        ("redis://me:hunter2@x@h", "%40"),
        ("redis://me:hunter2@h?password=x", "in one place"),
        ("redis://h?ssl_cert_reqs=none", "without ssl_cert_reqs"),
        ("redis://h?decode_responses=true", "without decode_responses"),
        ("redis://h?hunter2%20=x", "what is no name of an option"),
        ("redis://h?socket_timeout=-1", "socket_timeout with seconds"),
        ("redis://h?socket_timeout=nan", "socket_timeout with seconds"),
        ("redis://h?socket_keepalive=perhaps", "true or false"),
        ("redis://h?client_name=a%20b", "client_name"),
        ("rediss://h?ssl_cert_reqs=sometimes", "required, optional or none"),
        ("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=true", "that are checked"),
        ("unix://", "a path from the root"),
        ("unix://r.sock", "a path from the root"),
        ("unix:///r.sock?socket_connect_timeout=1", "without socket_connect_timeout"),
        ("unix:///r%00.sock", "zero byte"),
        ("sentinel://h:26379/0", "master_name"),
        ("sentinel://:hunter2@h/0;sentinel://:hunter2@i/0?master_name=m", "a database"),
        ("sentinel://h/0?master_name=m&ssl_cert_reqs=none", "without ssl_cert_reqs"),
        ("rediss+sentinel://h/0", "master_name"),
        ("rediss+sentinel://h/0?master_name=m&ssl_cert_reqs=perhaps", "required, optional or none"),
        ("rediss://h?master_name=m", "without master_name"),
    ],
)
def test_what_is_not_supported_is_refused_by_the_name_of_the_variable(text, says):
    with pytest.raises(SettingsError) as refused:
        read({"INFERENCE_REDIS_URL": text}, env_file=None)
    message = str(refused.value)
    assert "INFERENCE_REDIS_URL" in message
    assert says in message
    assert "hunter2" not in message
    assert len(message.splitlines()) == 1


def test_kombu_reads_what_was_meant():
    broker.install()
    url = parsed("redis://m%40e:p%2F%3Bw@h:7000?db=3").kombu_url()
    read_ = Connection(url)
    assert (read_.hostname, read_.port, read_.userid, read_.password, read_.virtual_host) == (
        "h",
        7000,
        "m@e",
        "p/;w",
        "3",
    )


def test_kombu_reads_every_sentinel():
    broker.install()
    url = parsed("sentinel://:p%3Bw@a,[::1]:7001/4?master_name=m").kombu_url()
    assert url == "sentinel://:p%3Bw@a:26379/4;sentinel://:p%3Bw@[::1]:7001/4"
    assert len(Connection(url).alt) == 2


def test_a_password_is_in_no_repr():
    assert "hunter2" not in repr(
        parsed("sentinel://:hunter2@a?master_name=m&sentinel_password=hunter2")
    )
