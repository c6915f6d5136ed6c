"""Webhooks: a real receiver, a real job's end."""

import base64
import hashlib
import hmac
import json
import socket
import threading

import pytest

from tests.support.waiting import wait_for
from workers.contract import keys
from workers.contract.events import Failed
from workers.contract.job import Job, JobState, Message
from workers.contract.step import ANSWER, StepRequest
from workers.contract.trace_context import TraceContext
from workers.keeper import destinations, webhooks
from workers.store.admission import Terms
from workers.store.planned import PlannedStep
from workers.store.token_log import Entry, append

SECRET = "whsec_" + base64.b64encode(b"a secret of some length").decode()
LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture
def end(redis, jobs):
    def end(url, keep_s=300, number=1, owner=None, trace=None):
        job_id = f"chatcmpl-{number}"
        message = Message("user", "hi")
        job = Job(job_id, "m", (message,), created=1, webhook=url, owner=owner, trace=trace)
        step = StepRequest(job.id, ANSWER, job.model, ends_job=True)
        jobs.store(job, [PlannedStep(step, {})], Terms(4, keep_s))
        append(redis, [Entry(job.id, Failed(0, {}), ends_as=JobState.FAILED)])
        return job.id

    return end


def sweep(redis, networks=LOOPBACK):
    duty = webhooks.Webhooks(redis, SECRET, networks)
    duty.sweep()
    duty._senders.shutdown(wait=True)


def test_the_trace_of_a_caller_goes_on_though_none_is_recorded(redis, end, receiver):
    end(receiver.url, trace=TraceContext("a" * 32, "b" * 16, sampled=True, state="rojo=1"))
    sweep(redis)
    ((_, headers, _),) = receiver.seen
    assert headers["traceparent"] == f"00-{'a' * 32}-{'b' * 16}-01"
    assert headers["tracestate"] == "rojo=1"


def make_due(redis):
    for member in redis.zrange(keys.WEBHOOKS, 0, -1):
        redis.zadd(keys.WEBHOOKS, {member: 0})


def test_the_end_of_a_job_is_sent_signed(redis, jobs, end, receiver):
    job_id = end(receiver.url)
    sweep(redis)
    ((path, headers, body),) = receiver.seen
    assert path == "/told"
    assert json.loads(body)["type"] == "job.failed"
    assert json.loads(body)["data"] == {
        "id": job_id,
        "state": "failed",
        "model": "m",
        "status_url": f"/v1/jobs/{job_id}",
    }
    assert headers["Host"] == f"localhost:{receiver.server_port}"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b"a secret of some length", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    (attempt,) = jobs.webhook_attempts(job_id)
    assert attempt.status == 200
    assert redis.zcard(keys.WEBHOOKS) == 0


def test_a_known_signature():
    """The example of the specification, https://github.com/standard-webhooks/standard-webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signed = webhooks.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_delivery_that_fails_is_tried_again_later_under_the_same_id(redis, jobs, end, receiver):
    receiver.statuses = [500, 200]
    job_id = end(receiver.url)
    sweep(redis)
    sweep(redis)  # not due yet
    assert [attempt.status for attempt in jobs.webhook_attempts(job_id)] == [500]
    make_due(redis)
    sweep(redis)
    assert [attempt.status for attempt in jobs.webhook_attempts(job_id)] == [500, 200]
    first, second = (headers["webhook-id"] for _, headers, _ in receiver.seen)
    assert first == second


def test_at_last_it_is_given_up(redis, jobs, end, receiver):
    receiver.statuses = [503]
    job_id = end(receiver.url)
    for _ in webhooks.DELAYS_S:
        make_due(redis)
        sweep(redis)
    assert redis.zcard(keys.WEBHOOKS) == 0
    assert len(jobs.webhook_attempts(job_id)) == len(webhooks.DELAYS_S)


@pytest.mark.parametrize("status", [410, 200])
def test_what_was_delivered_is_not_sent_again(redis, end, receiver, status):
    receiver.statuses = [status]
    end(receiver.url)
    sweep(redis)
    make_due(redis)
    sweep(redis)
    assert len(receiver.seen) == 1


def test_a_redirect_is_not_followed(redis, jobs, end, receiver):
    receiver.statuses = [307]
    job_id = end(receiver.url)
    sweep(redis)
    assert [path for path, _, _ in receiver.seen] == ["/told"]
    assert jobs.webhook_attempts(job_id)[0].status == 307


def test_an_address_that_is_private_by_now_is_refused(redis, jobs, end, receiver):
    job_id = end(receiver.url)
    sweep(redis, networks=[])
    assert receiver.seen == []
    assert "127.0.0.1" in jobs.webhook_attempts(job_id)[0].error


def test_nobody_there_is_an_attempt_too(redis, jobs, end):
    job_id = end("http://127.0.0.1:9/")
    sweep(redis)
    assert "ConnectError" in jobs.webhook_attempts(job_id)[0].error
    assert redis.zcard(keys.WEBHOOKS) == 1


def test_a_receiver_that_dribbles_is_left(redis, jobs, end, monkeypatch):
    monkeypatch.setattr(webhooks, "ANSWER_WITHIN_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ending = threading.Event()

        def dribble():
            connection, _ = listener.accept()
            with connection:
                while not ending.wait(0.1):
                    try:
                        connection.send(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=dribble)
        thread.start()
        job_id = end(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        sweep(redis)
        ending.set()
        thread.join()
    assert jobs.webhook_attempts(job_id)[0].error
    assert jobs.webhook_attempts(job_id)[0].took_ms < 5000


def test_the_message_of_a_sender_that_died_is_sent(redis, jobs, end, receiver):
    job_id = end(receiver.url)
    duty = webhooks.Webhooks(redis, SECRET, LOOPBACK)
    duty._senders.shutdown()
    with pytest.raises(RuntimeError):
        duty.sweep()  # claims it, and dies
    assert redis.zcard(keys.WEBHOOKS) == 1
    make_due(redis)
    sweep(redis)
    wait_for(lambda: jobs.webhook_attempts(job_id))
    assert len(receiver.seen) == 1


def test_receivers_that_never_answer_delay_their_own_key_only(redis, jobs, end, receiver):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for number in range(40):
            end(address, number=number, owner="attacker")
        last = end(receiver.url, number=99, owner="honest")
        duty = webhooks.Webhooks(redis, SECRET, LOOPBACK)
        duty.sweep()
        wait_for(lambda: jobs.webhook_attempts(last), 2)
        assert duty._sending[b"attacker"] == webhooks.SENDERS_OF_KEY
        duty.sweep()  # what was put off is not due again
        assert duty._sending[b"attacker"] == webhooks.SENDERS_OF_KEY
    duty._senders.shutdown(wait=True)
    assert len(receiver.seen) == 1
    assert redis.zcard(keys.WEBHOOKS) == 40


def test_without_keys_one_caller_has_all_senders(redis, end):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        for number in range(webhooks.SENDERS + 4):
            end(f"http://127.0.0.1:{silent.getsockname()[1]}/", number=number)
        duty = webhooks.Webhooks(redis, SECRET, LOOPBACK)
        duty.sweep()
        assert duty._sending.total() == webhooks.SENDERS
    duty._senders.shutdown(wait=True)


def test_a_job_that_is_no_longer_kept_is_forgotten(redis, end):
    job_id = end("http://127.0.0.1:9/")
    redis.delete(keys.job(job_id))
    sweep(redis)
    assert redis.zcard(keys.WEBHOOKS) == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:6379/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:127.0.0.1]/",
        "http://0/",
        "http://2130706433/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://224.0.0.1/",
        "http://0.0.0.0/",
        "http://100.64.0.1/",
        "http://[fd00::1]/",
        "ftp://example.com/",
        "http://",
        "http://user:pw@example.com/",
        "http://a b/",
        "http://example.com:99999/",
        "http://" + "a" * 3000,
        "http://no-such-host.invalid/",
        "x",
    ],
)
def test_where_a_webhook_may_not_go(url):
    with pytest.raises(destinations.Refused):
        destinations.resolve(url, [])


@pytest.mark.parametrize(
    "address",
    [
        "0.1.2.3",
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "192.0.0.192",
        "198.18.0.1",
        "255.255.255.255",
        "::",
        "::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2001:0:1::1",
        "2001:db8::1",
        "2002:a9fe:a9fe::",
        "3fff::1",
        "5f00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_what_no_python_may_call_public(address):
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(destinations.Refused, match="no public address"):
        destinations.resolve(f"http://{literal}/", [])


def test_public_addresses_stay_public():
    for address in ("8.8.8.8", "192.0.1.1", "168.63.129.17", "[2606:4700::1111]", "[2a00:1450::1]"):
        destinations.resolve(f"http://{address}/", [])


def test_where_it_may_go():
    assert destinations.resolve("https://8.8.8.8/a?b#c", []).pinned == "https://8.8.8.8/a?b"
    destination = destinations.resolve("http://localhost:81/x", ["127.0.0.0/8", "::1/128"])
    assert destination.host == "localhost"
    assert destination.pinned in ("http://127.0.0.1:81/x", "http://[::1]:81/x")
