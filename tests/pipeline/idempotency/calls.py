"""Keyed calls, and services that count what they do."""

from __future__ import annotations

import threading
from typing import Any

from unimicro import App, Idempotency, Invocation, Principal, Service, VirtualClock, entry
from unimicro.errors import ServiceError
from unimicro.invocation import CallPayload
from unimicro.stores.memory import MemoryIdempotencyStore

BY_CODE = {kind.code: kind for kind in ServiceError.__subclasses__() if kind.__module__ == "unimicro.errors"}
ALICE, BOB = Principal("alice"), Principal("bob")


def invocation(operation: str, key: str | None, principal: Any = ALICE, **arguments: Any) -> Invocation:
    return Invocation(operation, CallPayload((), arguments), principal=principal, key=key, id="test")


class Till(Service):
    """Counts its effects; fails first with each of ``failures``."""

    def __init__(self, policy: Idempotency, *failures: Any, **options: Any) -> None:
        super().__init__()
        self.failures = list(failures)
        self.paid: list[int] = []

        def pay(self, *, amount: int = 1, note: str = ""):
            self.paid.append(amount)
            if self.failures:
                raise self.failures.pop(0)
            return {"receipt": len(self.paid), "amount": amount}

        decorated = entry(no_auth=True, idempotency=policy, **options)(pay)
        self.__class__ = type("Till", (Till,), {"pay": decorated})


def till(store: Any, *failures: Any, clock: Any = None, **settings: Any) -> tuple[Till, App]:
    service = Till(Idempotency(store=store, **settings), *failures)
    return service, App(service, clock=clock or VirtualClock())


class Slow(Service):
    """Each call tells that it began and waits until it is let go."""

    def __init__(self, policy: Idempotency) -> None:
        super().__init__()
        self.began, self.go = threading.Event(), threading.Event()
        self.calls = 0

        def pay(self, *, amount: int = 1):
            self.calls += 1
            self.began.set()
            assert self.go.wait(20)
            return {"receipt": self.calls}

        self.__class__ = type("Slow", (Slow,), {"pay": entry(no_auth=True, idempotency=policy)(pay)})

    def start(self, app: App, answers: list[Any]) -> threading.Thread:
        """A thread that is in the call."""
        thread = calling(app, answers)
        thread.start()
        assert self.began.wait(20)
        return thread


def calling(app: App, answers: list[Any]) -> threading.Thread:
    return threading.Thread(target=lambda: answers.append(app.run(invocation("slow.pay", "k1"))))


class Blocking(MemoryIdempotencyStore):
    """Says that it waits, so that stages call it as they call a server's."""

    blocking = True


class Broken:
    """A store whose named methods do not work."""

    def __init__(self, *broken: str, blocking: bool = False) -> None:
        self._works = MemoryIdempotencyStore()
        self._broken = broken
        self.blocking = blocking

    def _call(self, name: str, *args: Any) -> Any:
        if name in self._broken:
            raise OSError("the store at 10.0.0.7 does not answer")
        return getattr(self._works, name)(*args)

    def claim(self, *args: Any) -> Any:
        return self._call("claim", *args)

    def complete(self, *args: Any) -> Any:
        return self._call("complete", *args)

    def release(self, *args: Any) -> Any:
        return self._call("release", *args)


def leave_claimed(store: Any, clock: VirtualClock, lease: float = 60.0) -> None:
    """What a process leaves in ``store`` that dies in the call ``k1`` of a till."""

    class Dying(Broken):
        def claim(self, *args: Any) -> Any:
            return store.claim(*args)

    dying = Till(Idempotency(store=Dying("complete"), lease=lease))
    App(dying, clock=clock).run(invocation("till.pay", "k1"))
    assert dying.paid == [1]
