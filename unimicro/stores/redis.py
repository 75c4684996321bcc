"""Stores in Redis. A change is one Lua script, which Redis runs as a whole.

https://redis.io/docs/latest/develop/programmability/
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unimicro.errors import ConfigurationError, require
from unimicro.pipeline.ports import GRACE, IdempotencyRecord
from unimicro.stores.circuit_json import circuit_from_json, circuit_to_json
from unimicro.stores.settings import require_text, require_timeout

if TYPE_CHECKING:
    from unimicro.pipeline.ports import CircuitRecord

_SWAP = """
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or 0)
if version ~= ARGV[1] - 1 then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'record', ARGV[2])
return 1
"""

_PUT = """
local function put()
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[2], 'owner', ARGV[3], 'expires_at', ARGV[4])
  if ARGV[6] then redis.call('HSET', KEYS[1], 'answer', ARGV[6]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
"""

_CLAIM = f"""{_PUT}
local held = redis.call('HMGET', KEYS[1], 'fingerprint', 'owner', 'expires_at', 'answer')
if held[3] and tonumber(held[3]) > tonumber(ARGV[1]) then return held end
put()
return false
"""

_COMPLETE = f"""{_PUT}
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[3] then return 0 end
put()
return 1
"""

_RELEASE = """
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class RedisBreakerStore:
    """Transitions of circuits in Redis.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password where there are any;
            by default that of the environment's ``REDIS_URL``.
        prefix: Of every key.
        timeout: Seconds to wait for a connection, and for an answer. There is no second attempt.

    Raises:
        ConfigurationError: A setting is impossible.
        MissingExtra: The package redis is not installed.
    """

    def __init__(self, *, url: str | None = None, prefix: str = "unimicro:", timeout: float = 0.25) -> None:
        self._client = _client(url, prefix, timeout, type(self).__name__)
        self._prefix = f"{prefix}breaker:"
        self._swap = self._client.register_script(_SWAP)

    def read(self, circuit: str) -> CircuitRecord | None:
        """See ``BreakerStore``.

        Raises:
            redis.RedisError: No answer within the timeout.
            ValueError: The record is none of ours.
        """
        found = self._client.hget(self._prefix + circuit, "record")
        return None if found is None else circuit_from_json(found)

    def swap(self, circuit: str, record: CircuitRecord) -> bool:
        """See ``BreakerStore``; raises as ``read``."""
        return bool(self._swap([self._prefix + circuit], [record.version, circuit_to_json(record)]))


class RedisIdempotencyStore:
    """Keyed calls in Redis, which forgets each some time after its end.

    Redis must not evict keys (``maxmemory-policy noeviction``): a call whose record is gone is made again.
    Arguments and errors are those of ``RedisBreakerStore``.
    """

    def __init__(self, *, url: str | None = None, prefix: str = "unimicro:", timeout: float = 0.25) -> None:
        client = _client(url, prefix, timeout, type(self).__name__)
        self._prefix = f"{prefix}idempotency:"
        self._claim = client.register_script(_CLAIM)
        self._complete = client.register_script(_COMPLETE)
        self._release = client.register_script(_RELEASE)

    def claim(self, key: str, record: IdempotencyRecord, now: float) -> IdempotencyRecord | None:
        """See ``IdempotencyStore``.

        Raises:
            redis.RedisError: No answer within the timeout; whether the claim was written is unknown.
        """
        held = self._claim([self._prefix + key], _arguments(record, now))
        if not held:
            return None
        fingerprint, owner, expires_at, answer = held
        return IdempotencyRecord(fingerprint.decode(), owner.decode(), float(expires_at), answer)

    def complete(self, key: str, record: IdempotencyRecord, now: float) -> bool:
        """See ``IdempotencyStore``; raises as ``claim``."""
        return bool(self._complete([self._prefix + key], _arguments(record, now)))

    def release(self, key: str, owner: str) -> None:
        """See ``IdempotencyStore``; raises as ``claim``."""
        self._release([self._prefix + key], [owner])


def _arguments(record: IdempotencyRecord, now: float) -> list[Any]:
    # A time to live, not a time to end: Redis's clock may be another than the app's.
    kept = max(1, math.ceil((record.expires_at - now + GRACE) * 1000))
    arguments = [repr(now), record.fingerprint, record.owner, repr(record.expires_at), kept]
    return arguments if record.answer is None else [*arguments, record.answer]


def _client(url: str | None, prefix: str, timeout: float, wanted_by: str) -> Any:
    """A client that connects when it is first used, for any number of threads, and anew after a fork."""
    url = os.environ.get("REDIS_URL") if url is None else url
    if url is None:
        raise ConfigurationError("url must be set, or REDIS_URL in the environment")
    require_text(url=url, prefix=prefix)
    require_timeout(timeout)
    redis = require("redis", "redis", wanted_by)
    # A second attempt would find the first one's change in its way, and doubles the wait.
    once = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    # Protocol 2 is all that is needed, and spares the greeting of a new connection.
    settled = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "protocol": 2}
    try:
        client = redis.Redis.from_url(url, retry=once, **settled)
        pool = client.connection_pool
        # Made and not used: only this tells an option of the URL that there is not.
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError):
        # Without its text: that may repeat a part of the URL, and so the password.
        raise ConfigurationError("url must begin with redis://, rediss:// or unix://, and be valid") from None
    _check_options(url, pool.connection_kwargs, settled)
    return client


def _check_options(url: str, taken: dict[str, Any], settled: dict[str, Any]) -> None:
    """What stands in a URL wins over arguments, and a database that is no number is passed over."""
    parts = urlsplit(url)
    if parts.scheme != "unix" and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise ConfigurationError("url must name its database by number, as redis://host:port/0 does")
    if taken.get("decode_responses") or any(taken[name] != value for name, value in settled.items()):
        names = ", ".join((*settled, "decode_responses"))
        raise ConfigurationError(f"url must leave out {names}")
