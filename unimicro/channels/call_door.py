"""The base of doors that carry calls by name with arguments still encoded: ``/invoke`` and ``stream``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.call_reader import malformed_call
from unimicro.encoding import result_writer
from unimicro.frontend import Answer, FrontEnd, Native, operation_name
from unimicro.outcome import Left, Outcome
from unimicro.routes.answers import failed_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unimicro.app import App
    from unimicro.invocation import EncodedCall, Invocation
    from unimicro.metadata import Metadata
    from unimicro.operation import Operation
    from unimicro.outcome import Failure
    from unimicro.plain import Format

__all__ = ["CallDoor", "encoded_failure", "writers_of"]


class CallDoor(FrontEnd[Native, Answer]):
    """A door with the way from a call's ``method`` and encoded arguments to an invocation.

    ``decode`` makes the ``EncodedCall`` with ``encoded_call`` and hands it to ``named``; ``encode`` gives
    ``self.result_of`` one of ``writers_of``.
    """

    def __init__(self, app: App) -> None:
        super().__init__(app)
        # By what follows the component in ``method``.
        self._entries = {
            name.replace(".", ":"): name
            for name, operation in app.operations.items()
            if operation.http is not None
        }

    def named(
        self, method: object, payload: EncodedCall, metadata: Metadata, native: Native
    ) -> Outcome[Invocation]:
        """The invocation of ``component:service:method``, or why it is none."""
        known = self._entries.get(method.partition(":")[2]) if type(method) is str else None
        if known is not None:
            return self.invocation(known, payload, metadata, native)
        operation = operation_name(method)
        if operation is None:
            return Left(malformed_call(method=False))
        return self.call_invocation(operation, payload, metadata, native=native)


def writers_of(operations: Mapping[str, Operation], form: Format) -> Callable[[Operation, Any], bytes]:
    """A function from an operation and its result to octets; arguments in that format are expected too.

    Raises:
        MissingExtra: The package msgpack is needed and not installed.
    """
    writers = {name: _writer(operation, form) for name, operation in operations.items()}
    for operation in operations.values():
        operation.binder.prepare(form)
    return lambda operation, value: writers[operation.name](value)


def _writer(operation: Operation, form: Format) -> Callable[[Any], bytes]:
    if form == "json":
        return operation.encode_json
    # What may be a Response has a body of any type.
    return result_writer(Any if operation.may_respond else operation.signature.returns, form)


def encoded_failure(
    failure: Failure, invocation: Invocation | None, encode: Callable[[dict[str, Any]], bytes]
) -> bytes:
    """What ``encode`` makes of a ``failed_call``, without its details where these cannot be written."""
    answer = failed_call(failure, invocation)
    try:
        return encode(answer)
    except OverflowError:
        # msgpack has no integers beyond 64 bits: details must not hide the failure.
        answer["failure"].pop("details", None)
        return encode(answer)
