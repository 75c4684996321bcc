"""One HTTP request and its answer through httpx, bounded in time and size; in two colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unimicro.functional.attempt import Attempts
from unimicro.functional.replies import NEVER_AGAIN, Reply, outcome_of
from unimicro.metadata import Metadata
from unimicro.outcome import Failure, Left, Outcome
from unimicro.pipeline.deadline import expired

if TYPE_CHECKING:
    import httpx

    from unimicro.functional.clients import Clients
    from unimicro.invocation import Invocation
    from unimicro.pipeline.ports import Clock

__all__ = ["Exchange"]


class Exchange:
    """The bottom of every call: its ``Invocation`` has the request as ``native`` and always a deadline.

    Args:
        clients: Whose connections are used.
        clock: Source of time.
        max_bytes: Longest body of an answer.
        name: For the log.
    """

    def __init__(self, clients: Clients, clock: Clock, max_bytes: int, name: str) -> None:
        self._clients = clients
        self._clock = clock
        self._max_bytes = max_bytes
        self._attempts = Attempts(name)

    def send(self, invocation: Invocation) -> Outcome[Reply]:
        """Send and read. A time limit of httpx is one of each wait, so the deadline is looked at as well."""
        deadline = invocation.deadline or 0.0
        if self._clock.now() >= deadline:
            return Left(expired("not started: "))
        try:
            reply = self._exchange(invocation.native, deadline)
        except Exception as error:
            return Left(self.failure(error))
        return outcome_of(reply, self._clock.time())

    async def asend(self, invocation: Invocation) -> Outcome[Reply]:
        """``send`` on the running event loop: cancelled at the deadline."""
        deadline = invocation.deadline or 0.0
        if self._clock.now() >= deadline:
            return Left(expired("not started: "))
        try:
            work = self._aexchange(invocation.native, deadline)
            reply: Reply = await self._clock.finish_by(deadline, work)
        except Exception as error:
            return Left(self.failure(error))
        return outcome_of(reply, self._clock.time())

    def _exchange(self, request: httpx.Request, deadline: float) -> Reply:
        self._limit(request, deadline)
        response = self._clients.sync.send(request, stream=True)
        try:
            body = self._body(response)
            for part in response.iter_bytes():
                self._add(body, part)
                if self._clock.now() >= deadline:
                    raise TimeoutError
        finally:
            response.close()
        return _reply(response, body)

    async def _aexchange(self, request: httpx.Request, deadline: float) -> Reply:
        self._limit(request, deadline)
        response = await self._clients.of_loop().send(request, stream=True)
        try:
            body = self._body(response)
            async for part in response.aiter_bytes():
                self._add(body, part)
        finally:
            await response.aclose()
        return _reply(response, body)

    def _limit(self, request: httpx.Request, deadline: float) -> None:
        seconds = deadline - self._clock.now()
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), seconds)

    def _body(self, response: httpx.Response) -> bytearray:
        """Where the body goes. One that is packed unasked is refused: it may unpack to any size at once."""
        asked = response.request.headers.get("accept-encoding", "")
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed != "identity" and asked == "identity":
            raise _UnreadableError("the answer is compressed, which was not asked for")
        return bytearray()

    def _add(self, body: bytearray, part: bytes) -> None:
        if len(body) + len(part) > self._max_bytes:
            raise _UnreadableError(f"the answer is longer than {self._max_bytes} bytes")
        body += part

    def failure(self, error: Exception) -> Failure:
        """What stands for an exception; one that httpx does not raise over a connection is logged."""
        httpx = self._clients.package
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            failure = expired()
        elif isinstance(error, httpx.ConnectError):
            failure = Failure("unavailable", "the server cannot be reached")
        elif isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.ProxyError):
            failure = Failure("unavailable", "the connection broke")
        elif isinstance(error, _UnreadableError):
            failure = Failure("internal", str(error), details=NEVER_AGAIN)
        elif isinstance(error, httpx.DecodingError):
            failure = Failure("internal", "the answer cannot be unpacked", details=NEVER_AGAIN)
        else:
            return self._attempts.raised(error)
        failure.cause = error
        return failure


class _UnreadableError(Exception):
    """An answer that nobody wants to read; the text is public."""


def _reply(response: httpx.Response, body: bytearray) -> Reply:
    return Reply(response.status_code, Metadata(response.headers.multi_items()), bytes(body))
