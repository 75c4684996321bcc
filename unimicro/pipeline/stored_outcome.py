"""Outcomes as bytes, to be answered again as they were the first time, behind every door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from unimicro.outcome import Failure, Left, Outcome, Response, Right
from unimicro.pipeline.stored_values import StoredValues, to_text

__all__ = ["StoredOutcomes", "UnstorableError"]

_FIELDS = ("message", "errors", "retry_after", "layer", "policy", "error_type", "status", "headers")


class UnstorableError(Exception):
    """An outcome that cannot be answered again from bytes."""


class StoredOutcomes:
    """Writes and reads the outcomes of one operation.

    Args:
        returns: Its return annotation: values of the classes in it come back as those.
        max_bytes: Larger outcomes are not written.
    """

    def __init__(self, returns: Any, max_bytes: int) -> None:
        self._values = StoredValues(returns)
        self._max_bytes = max_bytes

    def dump(self, outcome: Outcome[Any]) -> bytes:
        """The outcome as bytes.

        Raises:
            UnstorableError: It has no stored form, or one that is too large.
        """
        try:
            packed = self._success(outcome.value) if outcome.monoid[1] else self._failure(outcome.monoid[0])
            data = to_text(packed).encode()
        except Exception as error:
            # A model's own code may raise anything.
            raise UnstorableError("the answer has no stored form") from error
        if len(data) > self._max_bytes:
            raise UnstorableError(f"the answer takes {len(data)} bytes, more than {self._max_bytes}")
        return data

    def load(self, data: bytes) -> Outcome[Any]:
        """The outcome that ``dump`` was given; of a failure without its cause.

        Raises:
            UnstorableError: The bytes are not from ``dump``, or from another version of the program.
        """
        try:
            packed = json.loads(data)
            if "failure" in packed:
                return Left(self._read_failure(packed["failure"]))
            if "response" in packed:
                return Right(self._read_response(packed["response"]))
            return Right(self._values.unpack(packed["value"]))
        except Exception as error:
            raise UnstorableError("a stored answer cannot be read") from error

    def _success(self, value: Any) -> dict[str, Any]:
        if type(value) is Response:
            return {"response": self._response(value)}
        return {"value": self._body(value)}

    def _body(self, value: Any) -> Any:
        packed = self._values.pack(value)
        if type(packed) is str and not isinstance(value, str):
            # Doors send a string as text, and what merely becomes one as JSON.
            raise TypeError(f"{type(value).__name__} would come back as a string")
        return packed

    def _response(self, response: Response) -> list[Any]:
        headers = response.headers
        if isinstance(headers, Mapping) and type(headers) is not dict:
            headers = tuple(headers.items())
        return [self._body(response.body), int(response.status), self._values.pack(headers)]

    def _read_response(self, packed: list[Any]) -> Response:
        body, status, headers = packed
        return Response(self._values.unpack(body), status, self._values.unpack(headers))

    def _failure(self, failure: Failure) -> dict[str, Any]:
        packed = {name: _builtin(getattr(failure, name)) for name in _FIELDS}
        packed = {name: self._values.pack(value) for name, value in packed.items() if value not in (None, ())}
        packed["code"] = failure.code
        if failure.body is not None:
            packed["body"] = self._response(failure.body)
        if failure.details is not None:
            # No door sends details that have no wire form.
            with suppress(TypeError, ValueError, RecursionError):
                packed["details"] = self._values.pack(dict(failure.details))
        return {"failure": packed}

    def _read_failure(self, packed: dict[str, Any]) -> Failure:
        body = packed.pop("body", None)
        fields = {name: self._values.unpack(value) for name, value in packed.items()}
        return Failure(body=None if body is None else self._read_response(body), **fields)


def _builtin(value: Any) -> Any:
    """Headers and errors may be of any mapping or sequence."""
    if isinstance(value, Mapping):
        return dict(value)
    return [dict(item) for item in value] if isinstance(value, list | tuple) else value
