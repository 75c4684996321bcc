"""API keys: a secret of each calling program, compared in constant time."""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from unimicro.errors import DefinitionError
from unimicro.invocation import Principal
from unimicro.outcome import Failure
from unimicro.pipeline.authorizer import Authorizer
from unimicro.pipeline.decider import Decider, Verdict, challenge
from unimicro.pipeline.policy import require_text

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly

log = logging.getLogger("unimicro")

DIGEST = "sha256:"
Digests = dict[str, bytes]


@dataclass(frozen=True)
class ApiKey(Authorizer):
    """Let pass who sends one of the keys; the principal's subject is the key's name.

    Keys are held as digests only, and every key is compared, whichever matches. Without a key →
    ``unauthenticated``; another → ``permission_denied``.

    Args:
        header: Field that holds the key.
        keys: Name to key, or to ``sha256:`` and the hexadecimal SHA-256 digest of the key.
        env: Environment variable with more of them, ``name=key`` separated by commas or white space. Read at
            each call, so that a rotation needs no restart; while it is missing or malformed, it holds none.

    Raises:
        DefinitionError: There are neither keys nor a variable, a key is empty, or two names have the same.
    """

    header: str = "x-api-key"
    keys: Mapping[str, str] | None = field(default=None, repr=False)
    env: str = ""
    label = "api_key"

    def __post_init__(self) -> None:
        if not self.header or not isinstance(self.header, str):
            raise DefinitionError(f"ApiKey.header must name a header field, got {self.header!r}")
        require_text(self, 0, env=self.env)
        if not self.keys and not self.env:
            raise DefinitionError("ApiKey needs keys, or env with the name of a variable that holds them")
        if not isinstance(self.keys, Mapping | None):
            raise DefinitionError("ApiKey.keys must be a mapping of name to key")
        digests = {name: DIGEST + key.hex() for name, key in _digests(self.keys or {}).items()}
        object.__setattr__(self, "keys", digests or None)

    def decider(self, operation: Operation, assembly: Assembly) -> Decider:
        header, known = self.header.lower(), _Keys(_digests(self.keys or {}), self.env)
        headers = challenge("ApiKey", operation.service.name, header=header)

        def decide(invocation: Invocation) -> Verdict:
            key = invocation.metadata.fields.get(header)
            if not key:
                text = f"no key in {header!r}"
                return Failure("unauthenticated", text, policy=self.label, headers=headers)
            name = known.name_of(key)
            if name is None:
                return Failure("permission_denied", "the key is not accepted here", policy=self.label)
            return Principal(name)

        return Decider(decide)


class _Keys:
    """The keys of a policy, and those of a variable, which is parsed anew when it has changed.

    Raises:
        DefinitionError: The variable is malformed as it stands now.
    """

    def __init__(self, keys: Digests, variable: str) -> None:
        self._keys = keys
        self._variable = variable
        text = self._text()
        self._read = (text, self._parsed(text))

    def name_of(self, key: str) -> str | None:
        """Whose key it is. All are compared: the time tells nothing about them."""
        digest, found = _digest(key), None
        for name, known in self._known().items():
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _text(self) -> str:
        return os.environ.get(self._variable, "") if self._variable else ""

    def _known(self) -> Digests:
        text = self._text()
        read, known = self._read
        if text != read:
            try:
                known = self._parsed(text)
            except DefinitionError as error:
                log.error("%s; its keys are not accepted", error)
                known = self._keys
            self._read = (text, known)
        return known

    def _parsed(self, text: str) -> Digests:
        pairs = [pair.partition("=") for pair in text.replace(",", " ").split()]
        try:
            digests = _digests({name: key for name, _, key in pairs})
        except DefinitionError:
            # Its text may name what is part of a key.
            raise DefinitionError(
                f"ApiKey.env: {self._variable} must hold name=key, separated by commas or white space"
            ) from None
        return {**digests, **self._keys}


def _digests(keys: Mapping[str, str]) -> Digests:
    """Name to digest.

    Raises:
        DefinitionError: See ``ApiKey``; the text names no key.
    """
    digests: Digests = {}
    for name, key in keys.items():
        if not isinstance(name, str) or not name or not isinstance(key, str) or not key:
            raise DefinitionError(
                f"ApiKey.keys: {name!r} must be a name, and its key a string that is not empty"
            )
        digest = _from_hex(key, name) if key.startswith(DIGEST) else _digest(key)
        if digest in digests.values():
            raise DefinitionError(f"ApiKey.keys: {name!r} has the key of another name")
        digests[name] = digest
    return digests


def _from_hex(text: str, name: str) -> bytes:
    try:
        digest = bytes.fromhex(text.removeprefix(DIGEST))
    except ValueError:
        digest = b""
    if len(digest) != sha256().digest_size:
        raise DefinitionError(f"ApiKey.keys: {name!r} must have 64 hexadecimal digits after {DIGEST!r}")
    return digest


def _digest(key: str) -> bytes:
    # A header may hold what is no Unicode: that is another key, not an error.
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
