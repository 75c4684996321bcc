"""A request to an OAuth 2.0 token endpoint (RFC 6749 §4.4), and what its answer means."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from unimicro.errors import Internal, PermissionDenied, ResourceExhausted, ServiceError, Unavailable
from unimicro.pipeline.remote import object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.pipeline.ports import Fetch, Fetched

_DEFAULT_LIFETIME = 300.0
"""Seconds, where the server does not say (RFC 6749 §5.1 only recommends it)."""


@dataclass(frozen=True, repr=False)
class TokenRequest:
    """A request for a token."""

    fetch: Fetch
    url: str
    client_id: str
    client_secret: str
    form: Mapping[str, str]
    in_body: bool
    timeout: float

    def __call__(self) -> tuple[str, float]:
        """Token and lifetime in seconds.

        Raises:
            ServiceError: The one whose code says what went wrong.
        """
        form = {name: value for name, value in self.form.items() if value}
        headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
        if self.in_body:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        else:
            credentials = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
        body = urlencode(form).encode()
        try:
            fetched = self.fetch("POST", self.url, headers=headers, body=body, timeout=self.timeout)
        except OSError as error:
            raise Unavailable("the token server cannot be reached") from error
        if fetched.status != 200:
            raise _error_of(fetched)
        return _token_of(fetched)


def _error_of(fetched: Fetched) -> ServiceError:
    wait = fetched.headers.get("retry-after", "")
    seconds = float(wait) if wait.isdecimal() else None
    if fetched.status == 429:
        return ResourceExhausted("the token server is asked too often", retry_after=seconds)
    if fetched.status >= 500:
        return Unavailable("the token server does not work", retry_after=seconds)
    return PermissionDenied(f"the token server refused the request with status {fetched.status}")


def _token_of(fetched: Fetched) -> tuple[str, float]:
    try:
        document = object_of(fetched)
        lifetime = float(document.get("expires_in", _DEFAULT_LIFETIME))
    except (TypeError, ValueError) as error:
        raise Internal("the token server's answer is malformed") from error
    token = document.get("access_token")
    if not isinstance(token, str) or not token or not 0 < lifetime < float("inf"):
        raise Internal("the token server's answer holds no token")
    return token, lifetime
