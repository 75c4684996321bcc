"""A call to a server: ``POST <url>/invoke`` in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from unimicro.errors import require
from unimicro.outcome import CODE_OF_REPLY, Failure, Left, Outcome, Right
from unimicro.wire import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx


class Unreachable(click.ClickException):
    """There is no server, or it does not answer."""

    exit_code = 3


def call_remote(
    url: str, operation: str, arguments: Mapping[str, Any], token: str | None, timeout: float
) -> Outcome[Any]:
    """Call ``operation`` on the server at ``url``.

    Args:
        url: Address of the app, without ``/invoke``.
        operation: ``orders.place``.
        arguments: By name.
        token: Sent as the header ``Authorization``.
        timeout: Seconds to wait for the connection, and for the answer.

    Raises:
        Unreachable: No connection, or no answer in time.
        MissingExtra: httpx is not installed.
        click.UsageError: ``url`` or ``operation`` is malformed.
    """
    httpx = require("httpx", "client", "unimicro call --url")
    service, dot, method = operation.rpartition(".")
    if not dot:
        raise click.UsageError(f"{operation!r} is no operation; write service.method.")
    body = _body({"method": f"app:{service}:{method}", "args": [], "kwargs": dict(arguments)})
    address = f"{url.rstrip('/')}/invoke"
    headers = {"Content-Type": "application/json", **authorization(token)}
    try:
        reply = httpx.post(address, content=body, headers=headers, timeout=timeout)
    except httpx.TimeoutException as error:
        raise Unreachable(f"{url} did not answer within {timeout:g} s") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise click.UsageError(f"--url {url!r}: {error}") from error
    except httpx.TransportError as error:
        raise Unreachable(f"cannot reach {url}: {error}") from error
    return _outcome(reply, address)


def _body(request: Mapping[str, Any]) -> bytes:
    try:
        return to_json(request)
    except ValueError as error:
        raise click.UsageError(f"an argument is no Unicode text: {error}") from error


def authorization(token: str | None) -> dict[str, str]:
    """The header field that carries the token, if there is one.

    Raises:
        click.UsageError: A header cannot carry it.
    """
    if token is None:
        return {}
    # Refused here because httpx would quote the token in its error.
    if not (token.isascii() and token.isprintable()):
        raise click.UsageError("the token has characters that a header cannot carry.")
    return {"Authorization": token}


def _outcome(reply: httpx.Response, address: str) -> Outcome[Any]:
    try:
        answer = from_json(reply.content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return Left(_by_status(reply.status_code, address))
    if isinstance(answer.get("failure"), dict):
        return Left(Failure.from_problem(answer["failure"]))
    if isinstance(answer.get("exception"), str):
        return Left(Failure("unknown", answer["exception"]))
    if "result" in answer:
        return Right(answer["result"])
    if "code" in answer:
        return Left(Failure.from_problem(answer))
    return Left(_by_status(reply.status_code, address))


def _by_status(status: int, address: str) -> Failure:
    code = CODE_OF_REPLY.get(status, "unknown")
    return Failure(code, f"{address} answered HTTP {status}, which is no answer to a call")
