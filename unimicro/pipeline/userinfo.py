"""User information (OpenID Connect Core §5.3): the issuer tells more about a caller.

In other words, a policy information point.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unimicro.invocation import Principal
from unimicro.outcome import Failure
from unimicro.pipeline.authorizer import ENRICHES, Authorizer
from unimicro.pipeline.decider import Decider, DecidingSteps, bearer, challenge
from unimicro.pipeline.policy import Bound, require_above_zero, require_flag, require_text, require_whole
from unimicro.pipeline.principals import principal_of
from unimicro.pipeline.remote import Remembered, object_of, require_url
from unimicro.pipeline.single_flight import SingleFlight

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly

log = logging.getLogger("unimicro")


@dataclass(frozen=True)
class UserInfo(Authorizer):
    """Add what the issuer knows of the caller: ``Jwt(...) & UserInfo(...)``.

    The issuer is asked with the caller's own token; where it refuses the token, or speaks of another subject,
    the caller gets ``permission_denied``; where it does not answer, ``unavailable``.

    Args:
        url: Of the issuer's endpoint.
        header: Field that holds the token; the service's ``token_header`` if ``None``.
        subject_claim: Names the subject, which must be the principal's.
        activities_claim: Lists what the subject may do.
        ttl: For which an answer is remembered.
        max_entries: Answers remembered at most.
        timeout: Seconds for a request.
        allow_http: ``url`` may be plain HTTP to another machine.

    Raises:
        DefinitionError: A setting is missing or impossible.
    """

    url: str = ""
    header: str | None = None
    subject_claim: str = "sub"
    activities_claim: str = "activities"
    ttl: float = 300.0
    max_entries: int = 1000
    timeout: float = 5.0
    allow_http: bool = False
    label = "userinfo"

    def __post_init__(self) -> None:
        require_flag(self, allow_http=self.allow_http)
        require_text(self, subject_claim=self.subject_claim, activities_claim=self.activities_claim)
        if self.header is not None:
            require_text(self, header=self.header)
        require_url("UserInfo.url", self.url, self.allow_http)
        require_above_zero(self, ttl=self.ttl, timeout=self.timeout)
        require_whole(self, 0, max_entries=self.max_entries)

    def rank(self) -> int:
        return ENRICHES

    def worst_case(self, below: Bound) -> Bound:
        return below._replace(seconds=below.seconds + self.timeout)

    def decider(self, operation: Operation, assembly: Assembly) -> Decider:
        header = (self.header or operation.service.token_header).lower()
        asked = assembly.shared_by_settings(self, lambda: _Endpoint(self, assembly))
        headers = challenge("Bearer", operation.service.name)

        def steps(invocation: Invocation) -> DecidingSteps:
            token = bearer(invocation.metadata.fields.get(header))
            if not token:
                text = f"no token in {header!r}"
                return Failure("unauthenticated", text, policy=self.label, headers=headers)
            found = yield from asked.about(token)
            known = invocation.principal
            if isinstance(found, Principal) and (known is None or known.subject != found.subject):
                # OpenID Connect Core §5.3.2: such an answer must not be used.
                return _denied("the issuer speaks of another caller")
            return found

        return Decider(None, steps)


class _Endpoint:
    """The issuer's answers to one policy."""

    def __init__(self, settings: UserInfo, assembly: Assembly) -> None:
        self._settings = settings
        self._fetch = assembly.fetch
        self._clock = assembly.clock
        self._remembered = Remembered(settings.max_entries)
        self._flights = SingleFlight()

    def about(self, token: str) -> DecidingSteps:
        known = self._remembered.get(token, self._clock.now())
        if known is not None:
            return known  # type: ignore[no-any-return]
        return (yield from self._flights.fly(token, lambda: self._told(token)))  # type: ignore[no-any-return]

    def _told(self, token: str) -> Principal | Failure:
        try:
            found = self._ask(token)
        except Exception as error:
            log.warning("no user information from %s: %s", self._settings.url, error)
            text = "the issuer does not answer"
            return Failure("unavailable", text, policy=UserInfo.label, retry_after=1.0, cause=error)
        if isinstance(found, Principal):
            self._remembered.put(token, found, self._clock.now() + self._settings.ttl)
        return found

    def _ask(self, token: str) -> Principal | Failure:
        settings = self._settings
        headers = {"accept": "application/json", "authorization": f"Bearer {token}"}
        fetched = self._fetch("GET", settings.url, headers=headers, timeout=settings.timeout)
        if fetched.status in (400, 401, 403):
            return _denied("the issuer does not accept the token")
        found = principal_of(object_of(fetched), settings.subject_claim, settings.activities_claim)
        return found or _denied("the issuer names no subject")


def _denied(text: str) -> Failure:
    return Failure("permission_denied", text, policy=UserInfo.label)
