"""Webhooks: telling others of a job's end, as https://www.standardwebhooks.com describes it.

The message is small: it names the job, whose result is fetched under its status address by whoever
may. A receiver may get a message more than once, always under the same `webhook-id`.
"""

from __future__ import annotations

import base64
import binascii
import collections
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from redis import Redis
from redis.exceptions import RedisError

from workers.contract import keys
from workers.keeper import destinations
from workers.keeper.delivery_trace import Delivery
from workers.keeper.destinations import Refused
from workers.keeper.duties import Duty, Resources, register
from workers.metrics import instruments
from workers.metrics.process_metrics import ProcessMetrics
from workers.store import job_names, webhook_attempts
from workers.store.connections import redis_time_ms
from workers.store.webhook_attempts import REFUSED, Attempt

log = logging.getLogger(__name__)

#: Seconds before each attempt, from the end of the job or of the attempt before.
DELAYS_S = (0, 5, 30, 120, 600, 1800, 3600, 7200)
#: Messages on their way at once, and those of one API key: a receiver that never answers holds its
#: sender for `ANSWER_WITHIN_S`, and 40 of one key would let another's wait for minutes.
SENDERS, SENDERS_OF_KEY = 16, 4
#: Messages that one sweep looks at, and seconds until it looks again at one whose key has no sender
#: free: so that those after it in the line have their turn.
LOOKS, LOOK_AGAIN_S = 500, 2.0
#: Seconds a receiver has to answer; then the connection is closed, whatever it is doing.
ANSWER_WITHIN_S = 10.0
#: Seconds after which a message whose sender died is sent again.
CLAIM_S = 30.0
_SECRET_PREFIX = "whsec_"  # nosec B105 # how secrets begin, none itself


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a message.

    Source: the Standard Webhooks specification, symmetric signatures (`v1`).
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class Webhooks:
    """A duty of the keeper: sends what is due, on threads of its own."""

    def __init__(
        self,
        redis: Redis,
        secret: str | None,
        networks: Sequence[str],
        metrics: ProcessMetrics | None = None,
    ) -> None:
        self._redis = redis
        self._metrics = metrics or ProcessMetrics()
        self._secret = secret
        self._networks = networks
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="webhook")
        #: How many messages of each owner are on their way.
        self._sending: collections.Counter[bytes] = collections.Counter()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Nothing is remembered between two sweeps."""

    def sweep(self) -> None:
        """Claim and send what is due, as much as there are senders, of each owner its part."""
        if self._sending.total() >= SENDERS:
            return
        now = redis_time_ms(self._redis)
        due: Any = self._redis.zrangebyscore(keys.WEBHOOKS, "-inf", now, start=0, num=LOOKS)
        if not due:
            return
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in due:
                pipeline.hget(keys.job(job_id.decode()), "owner")
            owners = [owner or b"" for owner in pipeline.execute()]
        later = {}
        for job_id, owner in zip(due, owners, strict=True):
            if self._sending.total() >= SENDERS:
                break
            if not self._has_sender(owner):
                later[job_id] = now + int(LOOK_AGAIN_S * 1000)
                continue
            self._redis.zadd(keys.WEBHOOKS, {job_id: now + int(CLAIM_S * 1000)}, xx=True)
            self._senders.submit(self._send, job_id.decode(), owner)
            with self._lock:
                self._sending[owner] += 1
        if later:
            self._redis.zadd(keys.WEBHOOKS, later, xx=True)

    def _has_sender(self, owner: bytes) -> bool:
        """Whether one more message of an owner may be sent; who has no key shares with nobody."""
        return not owner or self._sending[owner] < SENDERS_OF_KEY

    def _send(self, job_id: str, owner: bytes) -> None:
        try:
            with job_names.bound(self._redis, job_id):
                self._deliver(job_id)
        except RedisError as error:
            log.warning("webhook of %s: Redis is unavailable: %s", job_id, error)
        except Exception:
            log.exception("webhook of %s failed with an unexpected error", job_id)
        finally:
            with self._lock:
                self._sending[owner] -= 1

    def _deliver(self, job_id: str) -> None:
        record: Any = self._redis.hmget(
            keys.job(job_id), "webhook", "state", "model", "ended_ms", "job"
        )
        if record[0] is None:  # no longer kept
            self._redis.zrem(keys.WEBHOOKS, job_id)
            return
        url, state, model, ended_ms, job = (value.decode() for value in record)
        body = {
            "type": f"job.{state}",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(ended_ms) / 1000)),
            "data": {
                "id": job_id,
                "state": state,
                "model": model,
                "status_url": f"/v1/jobs/{job_id}",
            },
        }
        delivery = Delivery(job_id, json.loads(job).get("trace"))
        attempt = self._post(url, f"evt_{job_id}", json.dumps(body).encode(), delivery.headers())
        number = webhook_attempts.add(self._redis, job_id, attempt)
        self._metrics.count(instruments.WEBHOOKS, attempt.outcome)
        delivery.record(url, attempt, number)
        log.info("webhook of %s, attempt %d: %s", job_id, number, attempt.status or attempt.error)
        if attempt.final or number >= len(DELAYS_S):
            self._redis.zrem(keys.WEBHOOKS, job_id)
        else:
            again = redis_time_ms(self._redis) + DELAYS_S[number] * 1000
            self._redis.zadd(keys.WEBHOOKS, {job_id: again}, xx=True)

    def _post(
        self, url: str, message_id: str, body: bytes, trace_headers: Mapping[str, str]
    ) -> Attempt:
        at, begun = int(time.time()), time.perf_counter()
        status, problem = None, None
        try:
            status = self._exchange(url, message_id, at, body, trace_headers)
        except Refused as refused:
            problem = f"{REFUSED}{refused}"
        except httpx.TimeoutException:
            problem = f"no answer within {ANSWER_WITHIN_S:g} s"
        except (httpx.HTTPError, OSError, RuntimeError) as error:
            problem = f"{type(error).__name__}: {error}"[:200]
        return Attempt(at, round((time.perf_counter() - begun) * 1e3, 1), status, problem)

    def _exchange(
        self,
        url: str,
        message_id: str,
        timestamp: int,
        body: bytes,
        trace_headers: Mapping[str, str],
    ) -> int:
        if self._secret is None:
            raise Refused("INFERENCE_WEBHOOK_SECRET is not set any longer")
        destination = destinations.resolve(url, self._networks)
        headers = {
            "Host": destination.url.netloc,
            "Content-Type": "application/json",
            "User-Agent": "inference-service",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, message_id, timestamp, body),
            **trace_headers,
        }
        named = {"sni_hostname": destination.host}  # the certificate is checked against it too
        # No proxies: one would resolve the name again. httpx follows no redirects by itself.
        with httpx.Client(timeout=ANSWER_WITHIN_S, trust_env=False) as client:
            # httpx' timeout is for each read; a receiver that answers byte by byte meets this one.
            timer = threading.Timer(ANSWER_WITHIN_S, client.close)
            timer.daemon = True
            timer.start()
            try:
                with client.stream(
                    "POST", destination.pinned, content=body, headers=headers, extensions=named
                ) as answer:
                    return answer.status_code
            finally:
                timer.cancel()


def _key(secret: str) -> bytes:
    if secret.startswith(_SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


@register
def _duty(resources: Resources) -> Duty:
    settings = resources.settings
    return Webhooks(
        resources.redis, settings.webhook_secret, settings.webhook_networks, resources.metrics
    )
