"""Public keys of an issuer: a JWK set (RFC 7517), given or fetched, and the key that a token names."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.errors import DefinitionError, require
from unimicro.outcome import Failure
from unimicro.pipeline.remote import object_of
from unimicro.pipeline.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Generator

    from joserfc.jwk import ECKey, OKPKey, RSAKey

    from unimicro.pipeline.ports import Clock, Fetch

    PublicKey = RSAKey | ECKey | OKPKey
    Finding = Generator[Any, Any, PublicKey | Failure | None]

log = logging.getLogger("unimicro")

ALGORITHMS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""Asymmetric signature algorithms to the type and curve of their keys (RFC 7518 §3.1, RFC 9864)."""

_LEAST_RSA_BITS = 2048
"""RFC 7518 §3.3."""


class KeySet:
    """Public keys for signatures."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = tuple(keys)

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The one key that fits.

        A token without ``kid`` is verified only where one key alone fits it (OpenID Connect Core §10.1).
        """
        fitting = [key for key in self._keys if _fits(key, algorithm)]
        if kid is not None:
            named = [key for key in fitting if key.kid == kid]
            fitting = named or [key for key in fitting if key.kid is None]
        return fitting[0] if len(fitting) == 1 else None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> KeySet:
        """The usable keys of a JWK set; others are left out (RFC 7517 §5).

        Raises:
            ValueError: There is none.
        """
        members = document.get("keys")
        found = [_public_key(member) for member in members] if isinstance(members, list) else []
        keys = [key for key in found if key is not None]
        if not keys:
            raise ValueError("the document holds no usable key")
        return cls(keys)

    @classmethod
    def given(cls, keys: object) -> KeySet:
        """The keys of a setting: a JWK set, a JWK, a PEM text, or several of the last two.

        Raises:
            DefinitionError: One is no public key for signatures, or one too short.
        """
        if isinstance(keys, Mapping) and "keys" in keys:
            keys = keys["keys"]
        several = [keys] if isinstance(keys, str | bytes | Mapping) else keys
        if not isinstance(several, Iterable):
            raise DefinitionError("Jwt.keys must be a JWK set, a JWK or a PEM text, or a list of these")
        found = [_public_key(one) for one in several]
        if not found or None in found:
            raise DefinitionError(
                "Jwt.keys must hold public keys for signatures, those of RSA of at least 2048 bits"
            )
        return cls(key for key in found if key is not None)


def _fits(key: PublicKey, algorithm: str) -> bool:
    kind, curve = ALGORITHMS[algorithm]
    return (
        key.key_type == kind
        and curve in (None, key.get("crv"))
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, algorithm)
    )


def _public_key(given: Any) -> PublicKey | None:
    """The key of a JWK or PEM text; ``None`` if it is none, private, symmetric, or too short."""
    jwk = require("joserfc.jwk", "jwt", "Jwt")
    kinds = (jwk.RSAKey, jwk.ECKey, jwk.OKPKey)
    if isinstance(given, Mapping):
        kinds = tuple(kind for kind in kinds if kind.key_type == given.get("kty"))
        given = dict(given)
    for kind in kinds:
        try:
            key = kind.import_key(given)
            # A JWK is only checked when the key is asked for.
            raw = key.public_key
        except Exception:  # noqa: S112 - a key of a foreign set may be broken in any way
            continue
        return None if key.is_private or getattr(raw, "key_size", math.inf) < _least(key) else key
    return None


def _least(key: PublicKey) -> int:
    return _LEAST_RSA_BITS if key.key_type == "RSA" else 0


class GivenKeys:
    """A key set that never changes."""

    version = 0
    trusted_until = math.inf

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def find(self, kid: str | None, algorithm: str) -> Finding:
        """Steps, though none that waits, to the key; ``None`` if there is none."""
        yield from ()
        return self._keys.find(kid, algorithm)


class Times(NamedTuple):
    """When a key set is fetched.

    Attributes:
        refresh_after: Seconds after which it is fetched anew; the old one serves while that fails.
        max_age: Seconds after which it serves no more.
        cool_down: Least seconds between two fetches for keys that are not in it, and after a failed fetch.
        timeout: Seconds for one fetch.
    """

    refresh_after: float
    max_age: float
    cool_down: float
    timeout: float


class FetchedKeys:
    """A key set that is fetched when it is needed, by one call for all that wait for it.

    The fetch is not bound to the deadline of the call that does it: others wait for it too, and a caller in a
    hurry could make it fail for everybody.

    Attributes:
        version: Changes with the document.
        fresh_until: Monotonic seconds until which no fetch is due.
    """

    def __init__(self, url: str, times: Times, fetch: Fetch, clock: Clock) -> None:
        self.version = 0
        self.fresh_until = -math.inf
        self._url = url
        self._times = times
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._document: bytes = b""
        self._usable_until = -math.inf
        self._next_forced = -math.inf
        self._attempts = 0
        self._flights = SingleFlight()

    @property
    def trusted_until(self) -> float:
        """Monotonic seconds until which a verified token needs no second look: keys may be old, or go."""
        return min(self.fresh_until, self._usable_until)

    def find(self, kid: str | None, algorithm: str) -> Finding:
        """Steps to the key; ``None`` if there is none, a failure if there are no keys to look in."""
        now, attempts = self._clock.now(), self._attempts
        # Whoever finds usable keys does not wait for the one who fetches newer ones.
        served = now < self._usable_until and self._url in self._flights
        if now >= self.fresh_until and not served:
            yield from self._refresh(attempts)
        if self._keys is None or self._clock.now() >= self._usable_until:
            return self._unavailable()
        key = self._keys.find(kid, algorithm)
        if key is None and kid is not None:
            if self._may_be_new(attempts):
                yield from self._refresh(attempts, forced=True)
            # Also without a fetch of its own: another call may have brought it meanwhile.
            key = self._keys.find(kid, algorithm)
        return key

    def _may_be_new(self, attempts: int) -> bool:
        """Whether a fetch may bring an unknown key: not again within the cool-down."""
        if attempts != self._attempts:
            return False
        return self._clock.now() >= self._next_forced or self._url in self._flights

    def _refresh(self, attempts: int, forced: bool = False) -> Generator[Any, Any, None]:
        """Fetch the keys, unless that was done since ``attempts``."""

        def work() -> None:
            if self._attempts != attempts:
                return
            if forced:
                self._next_forced = self._clock.now() + self._times.cool_down
            try:
                self._take(*self._load())
            except Exception as error:
                log.warning("no keys from %s: %s", self._url, error)
                self.fresh_until = self._clock.now() + self._times.cool_down
            self._attempts += 1

        yield from self._flights.fly(self._url, work)

    def _load(self) -> tuple[KeySet, bytes]:
        fetched = self._fetch(
            "GET", self._url, headers={"accept": "application/json"}, timeout=self._times.timeout
        )
        return KeySet.parse(object_of(fetched)), fetched.body

    def _take(self, keys: KeySet, document: bytes) -> None:
        now = self._clock.now()
        self._keys = keys
        self.fresh_until = now + self._times.refresh_after
        self._usable_until = now + self._times.max_age
        if document != self._document:
            self._document = document
            self.version += 1

    def _unavailable(self) -> Failure:
        return Failure(
            "unavailable",
            "the keys that verify tokens cannot be fetched",
            policy="jwt",
            retry_after=max(0.0, self.fresh_until - self._clock.now()),
        )
