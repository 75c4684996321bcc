"""JSON web tokens (RFC 7519), verified with an issuer's public keys by the rules of RFC 8725."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.errors import DefinitionError, nearest, require
from unimicro.options import listed
from unimicro.outcome import Failure
from unimicro.pipeline.authorizer import Authorizer
from unimicro.pipeline.decider import Decider, DecidingSteps, at_once, bearer, challenge
from unimicro.pipeline.jwks import ALGORITHMS, FetchedKeys, GivenKeys, KeySet, Times
from unimicro.pipeline.policy import Bound, require_above_zero, require_flag, require_text, require_whole
from unimicro.pipeline.principals import principal_of
from unimicro.pipeline.remote import Remembered, require_url
from unimicro.wire import from_json

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from unimicro.invocation import Invocation, Principal
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import Clock

log = logging.getLogger("unimicro")

_MAX_LENGTH = 16_384
"""Characters of a token: more than any HTTP server lets through in a header by default."""


@dataclass(frozen=True)
class Jwt(Authorizer):
    """Let pass who sends a token that the issuer signed for this audience and that is valid now.

    No token → ``unauthenticated``. A token that is wrong → ``permission_denied`` with ``details["reason"]``,
    ``expired`` or ``invalid``, and the challenge ``error="invalid_token"`` (RFC 6750 §3.1). No keys to
    verify it with → ``unavailable``. Headers of a token that name a key or where to find one (``jwk``,
    ``jku``, ``x5u``, ``x5c``) are not heeded. Verified tokens are remembered until they expire or the keys
    change.

    Args:
        issuer: What ``iss`` must be, exactly.
        audience: ``aud`` must be, or hold, one of these.
        jwks_uri: Where the issuer publishes its keys.
        keys: The keys themselves, instead: a JWK set, a JWK, a PEM text, or a list of the last two.
        algorithms: Allowed signatures, asymmetric ones only.
        leeway: Seconds by which clocks may differ.
        header: Field that holds the token, bare or as ``Bearer x``; the service's ``token_header`` if
            ``None``.
        subject_claim: Names the subject; a token without it is denied.
        activities_claim: Lists what the subject may do.
        audience_claim: Instead of ``aud``, for issuers that put the audience elsewhere.
        refresh_after: Seconds after which keys are fetched anew.
        max_age: Seconds for which keys serve while they cannot be fetched anew.
        cool_down: Least seconds between two fetches for unknown keys, and after a failed fetch.
        timeout: Seconds for a fetch.
        max_entries: Verified tokens remembered at most.
        allow_http: ``jwks_uri`` may be plain HTTP to another machine.

    Raises:
        DefinitionError: A setting is missing or impossible.
    """

    issuer: str = ""
    audience: str | Sequence[str] = ()
    jwks_uri: str = ""
    keys: Any = field(default=None, repr=False)
    algorithms: Sequence[str] = ("RS256", "ES256")
    leeway: int = 60
    header: str | None = None
    subject_claim: str = "sub"
    activities_claim: str = "activities"
    audience_claim: str = "aud"
    refresh_after: float = 300.0
    max_age: float = 3600.0
    cool_down: float = 30.0
    timeout: float = 5.0
    max_entries: int = 1000
    allow_http: bool = False
    label = "jwt"

    def __post_init__(self) -> None:
        audience = (self.audience,) if isinstance(self.audience, str) else self.audience
        object.__setattr__(self, "audience", listed("Jwt.audience", audience))
        object.__setattr__(self, "algorithms", listed("Jwt.algorithms", self.algorithms))
        self._require_names()
        if (self.keys is None) == (not self.jwks_uri):
            raise DefinitionError("Jwt needs either jwks_uri or keys")
        if self.jwks_uri:
            require_url("Jwt.jwks_uri", self.jwks_uri, self.allow_http)
        require_whole(self, 0, leeway=self.leeway, max_entries=self.max_entries)
        require_above_zero(
            self,
            refresh_after=self.refresh_after,
            max_age=self.max_age,
            cool_down=self.cool_down,
            timeout=self.timeout,
        )
        if not self.max_age >= self.refresh_after:
            raise DefinitionError("Jwt.max_age must not be below refresh_after")

    def _require_names(self) -> None:
        require_flag(self, allow_http=self.allow_http)
        require_text(
            self,
            subject_claim=self.subject_claim,
            activities_claim=self.activities_claim,
            audience_claim=self.audience_claim,
        )
        if self.header is not None:
            require_text(self, header=self.header)
        if not isinstance(self.issuer, str) or not self.issuer:
            raise DefinitionError("Jwt.issuer must be what iss says in the tokens")
        if not self.audience or not all(isinstance(name, str) and name for name in self.audience):
            raise DefinitionError("Jwt.audience must name whom the tokens are for")
        if not self.algorithms:
            raise DefinitionError("Jwt.algorithms takes a tuple of names, such as ('RS256', 'ES256')")
        for name in self.algorithms:
            if not isinstance(name, str) or name not in ALGORITHMS:
                hint = nearest(str(name), ALGORITHMS)
                raise DefinitionError(
                    f"Jwt.algorithms: {name!r} is no asymmetric signature allowed here{hint}"
                )

    def worst_case(self, below: Bound) -> Bound:
        return below._replace(seconds=below.seconds + self.timeout) if self.jwks_uri else below

    def decider(self, operation: Operation, assembly: Assembly) -> Decider:
        header = (self.header or operation.service.token_header).lower()
        # Operations with the same settings have the same keys, and remember the same tokens.
        verifier = assembly.shared_by_settings(self, lambda: _Verifier(self, assembly))
        steps = partial(_decide, verifier, header, operation.service.name)
        return Decider(at_once(steps)) if self.keys is not None else Decider(None, steps)


def _decide(verifier: _Verifier, header: str, realm: str, invocation: Invocation) -> DecidingSteps:
    token = bearer(invocation.metadata.fields.get(header))
    if not token:
        headers = challenge("Bearer", realm)
        return Failure("unauthenticated", f"no token in {header!r}", policy=Jwt.label, headers=headers)
    found = yield from verifier.verify(token)
    if not isinstance(found, _Wrong):
        return found
    return Failure(
        "permission_denied",
        found.text,
        policy=Jwt.label,
        details={"reason": found.reason},
        headers=challenge("Bearer", realm, error="invalid_token", error_description=found.text),
        cause=found.cause,
    )


class _Wrong(NamedTuple):
    """Why a token is not accepted, in words that tell an attacker nothing."""

    reason: str = "invalid"
    text: str = "the token is not valid here"
    cause: Exception | None = None


class _Verifier:
    """Verifies the tokens of one policy, and remembers those that were good."""

    def __init__(self, settings: Jwt, assembly: Assembly) -> None:
        jws = require("joserfc.jws", "jwt", "Jwt")
        self._settings = settings
        self._clock: Clock = assembly.clock
        self._keys = _keys(settings, assembly)
        self._remembered = Remembered(settings.max_entries)
        self._jws = jws
        self._registry = jws.JWSRegistry(algorithms=settings.algorithms, strict_check_header=False)
        self._registry.max_header_length = _MAX_LENGTH
        self._claims = _claims_registry(settings, assembly.clock)

    def verify(self, token: str) -> Generator[Any, Any, Principal | Failure | _Wrong]:
        """Steps to who sent the token, or to what is wrong with it."""
        now = self._clock.now()
        known = self._remembered.get(token, now)
        if known is not None and known[0] == self._keys.version:
            return known[1]  # type: ignore[no-any-return]
        try:
            signed, kid, algorithm = self._opened(token)
        except Exception as error:
            return self._wrong(error)
        key = yield from self._keys.find(kid, algorithm)
        if isinstance(key, Failure):
            return key
        version, trusted_until = self._keys.version, self._keys.trusted_until
        try:
            claims, expires = self._verified(signed, key)
        except Exception as error:
            return self._wrong(error)
        settings = self._settings
        principal = principal_of(claims, settings.subject_claim, settings.activities_claim)
        if principal is None:
            return _Wrong(text="the token names no subject")
        self._remembered.put(token, (version, principal), min(expires, trusted_until))
        return principal

    def _opened(self, token: str) -> tuple[Any, str | None, str]:
        """The token taken apart, and what its header says of the key. Nothing of it is trusted yet."""
        if len(token) > _MAX_LENGTH:
            raise ValueError("the token is too long")
        signed = self._jws.extract_compact(token.encode(), registry=self._registry)
        header = signed.headers()
        kid, algorithm = header.get("kid"), header["alg"]
        if algorithm not in self._settings.algorithms or not isinstance(kid, str | None):
            raise ValueError("the header names another algorithm, or no key")
        # No extension is understood here, so none may be critical (RFC 7515 §4.1.11).
        if "crit" in header or "b64" in header:
            raise ValueError("the header has extensions")
        return signed, kid, algorithm

    def _verified(self, signed: Any, key: Any) -> tuple[dict[str, Any], float]:
        """The claims, and the monotonic time of their expiry."""
        if key is None or not self._jws.validate_compact(signed, key, registry=self._registry):
            raise ValueError("there is no such key, or it did not sign this")
        claims = from_json(signed.payload)
        self._claims.validate(claims)
        remaining = claims["exp"] + self._settings.leeway - self._clock.time()
        return claims, self._clock.now() + float(remaining)

    def _wrong(self, error: Exception) -> _Wrong:
        log.debug("a token was denied: %s", type(error).__name__)
        if type(error).__name__ == "ExpiredTokenError":
            return _Wrong("expired", "the token has expired", error)
        return _Wrong(cause=error)


def _keys(settings: Jwt, assembly: Assembly) -> GivenKeys | FetchedKeys:
    if settings.keys is not None:
        return GivenKeys(KeySet.given(settings.keys))
    url = settings.jwks_uri
    times = Times(settings.refresh_after, settings.max_age, settings.cool_down, settings.timeout)
    return assembly.shared(
        "jwks", f"{url} {times}", lambda: FetchedKeys(url, times, assembly.fetch, assembly.clock)
    )


def _claims_registry(settings: Jwt, clock: Clock) -> Any:
    jwt = require("joserfc.jwt", "jwt", "Jwt")
    return jwt.JWTClaimsRegistry(
        now=clock.time,
        leeway=settings.leeway,
        iss={"essential": True, "value": settings.issuer},
        exp={"essential": True},
        **{settings.audience_claim: {"essential": True, "values": list(settings.audience)}},
    )
