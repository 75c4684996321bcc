"""A channel that loses calls and answers, and delivers calls again, some of them much later."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Any

from unimicro import App, Idempotency, Service, entry
from unimicro.errors import Unavailable
from unimicro.routes.memory import Message
from unimicro.wire import from_json

if TYPE_CHECKING:
    from collections.abc import Callable

LOSS = 0.3
TRIES = 50_000
PAUSE = 0.0001
"""Seconds: a disk may take its time to write what another caller waits for."""


class Bank(Service):
    """Each transfer is an effect; some fail before theirs."""

    def __init__(self, store: Any, seed: int) -> None:
        super().__init__()
        self.effects: Counter[str] = Counter()
        self._receipts = 0
        self._random = random.Random(seed)
        self._lock = Lock()
        policy = Idempotency(store=store, required=True)
        self.__class__ = type("Bank", (Bank,), {name: self._entry(name, policy) for name in ("pay", "apay")})

    def transfer(self, account: str) -> int:
        with self._lock:
            if self._random.random() < 0.1:
                raise Unavailable("not now")
            self.effects[account] += 1
            self._receipts += 1
            return self._receipts

    @staticmethod
    def _entry(name: str, policy: Idempotency) -> Any:
        def pay(self, *, account: str):
            return self.transfer(account)

        async def apay(self, *, account: str):
            await asyncio.sleep(0)
            receipt = self.transfer(account)
            await asyncio.sleep(0)
            return receipt

        return entry(no_auth=True, idempotency=policy)(pay if name == "pay" else apay)


class Lossy:
    """Between callers and the memory door. What it does to each message is drawn from ``seed``."""

    def __init__(self, app: App, operation: str, seed: int) -> None:
        self._door = app.door("memory")
        self._operation = operation
        self._random = random.Random(seed)
        self._late: list[Message] = []
        self.delivered = 0

    def message(self, key: str) -> Message:
        body = b'{"args":[],"kwargs":{"account":"%b"}}' % key.encode()
        return Message(self._operation, body, {"idempotency-key": key})

    def fates(self, message: Message) -> tuple[list[Message], bool]:
        """What is delivered now, and whether the answer to the last of it comes back."""
        draw = self._random.random
        delivered = []
        if self._late and draw() < LOSS:
            delivered.append(self._late.pop(self._random.randrange(len(self._late))))
        if draw() < LOSS:
            self._late.append(message)
        lost_before = draw() < LOSS
        if not lost_before:
            delivered.append(message)
        self.delivered += len(delivered)
        return delivered, not lost_before and draw() >= LOSS

    def call(self, key: str) -> Any:
        """Call with one key until there is an answer that is final."""
        message = self.message(key)
        for _ in range(TRIES):
            delivered, heard = self.fates(message)
            answers = [self._door.handle(one) for one in delivered]
            if heard and is_final(answers[-1]):
                return from_json(answers[-1].body)["result"]
            time.sleep(PAUSE)
        raise AssertionError("no answer came through")

    async def acall(self, key: str) -> Any:
        message = self.message(key)
        for _ in range(TRIES):
            delivered, heard = self.fates(message)
            answers = [await self._door.ahandle(one) for one in delivered]
            if heard and is_final(answers[-1]):
                return from_json(answers[-1].body)["result"]
            await asyncio.sleep(PAUSE)
        raise AssertionError("no answer came through")

    def flush(self, handle: Callable[[Message], Any]) -> list[Any]:
        """Deliver what is still on its way."""
        late, self._late = self._late, []
        return [handle(message) for message in late]


def is_final(answer: Message) -> bool:
    error = from_json(answer.body)["error"]
    if error is None:
        return True
    assert error["failure"]["code"] in ("unavailable", "aborted"), error
    return False
