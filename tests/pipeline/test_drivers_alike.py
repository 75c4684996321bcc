"""The two drivers are one program in two colours: in their text, and in what they do."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unimicro.pipeline
from tests.pipeline.conftest import async_drive, sync_drive
from unimicro import App, Await, Do, Failure, Left, Pause, Right, Service, VirtualClock, entry

HERE = Path(unimicro.pipeline.__file__).parent


def colourless(name: str) -> str:
    """A driver's text without what makes it sync or async."""
    text = (HERE / name).read_text()
    text = re.sub(r'^""".*"""$', "", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"\b(async|await) ", "", text)
    text = re.sub(r"\bclock\.asleep\b", "clock.sleep", text)
    text = re.sub(r"Awaitable\[((?:[^\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])*)\]", r"\1", text)
    text = text.replace("import Awaitable, Callable", "import Callable")
    return re.sub(r"\s+", "", text).replace(",)", ")")


def test_the_drivers_differ_in_colour_only():
    assert colourless("_sync.py") == colourless("_async.py")


def test_stripping_the_colour_hides_no_other_difference():
    assert "steps.send(below(step))" in colourless("_async.py")
    assert "clock.sleep(step.seconds)" in colourless("_async.py")


def add_one(value):
    return value + 1


async def aadd_one(value):
    await asyncio.sleep(0)
    return value + 1


def broken(value):
    raise LookupError(str(value))


async def abroken(value):
    raise LookupError(str(value))


CODES = ["unavailable", "not_found", "internal"]
KINDS = [
    "pass", "deny", "raise", "none", "change", "twice", "pause", "do", "await", "do fails", "await fails",
    "caught", "refuse", "swap", "rescue", "raise after", "bad yield", "cleanup",
]  # fmt: skip


def guard_of(kind: str, number: int, log: list[str]) -> Any:
    def guard(invocation):
        log.append(f"{number} {kind}")
        if kind == "deny":
            return Left(Failure(CODES[number % 3], f"by {number}"))
        if kind == "raise":
            raise RuntimeError(kind)
        if kind == "none":
            return None
        if kind == "change":
            return Right(invocation.with_arguments({"x": invocation.arguments["x"] * 2}))
        return Right(invocation)

    return guard


def flow_of(kind: str, number: int, log: list[str]) -> Any:  # noqa: C901 - one branch a kind
    steps = {
        "do": Do(add_one, number),
        "await": Await(aadd_one, number),
        "do fails": Do(broken, number),
        "await fails": Await(abroken, number),
    }

    def flow(invocation):  # noqa: C901 - one branch a kind
        log.append(f"{number} {kind} in")
        try:
            if kind == "refuse":
                return Left(Failure("aborted", f"by {number}"))
            if kind == "bad yield":
                yield 5
            if kind in steps:
                log.append(f"{number} got {(yield steps[kind])}")
            if kind == "caught":
                try:
                    yield Do(broken, number)
                except LookupError as error:
                    log.append(f"{number} caught {error}")
            if kind == "pause":
                yield Pause(number + 0.5)
            outcome = yield invocation
            if kind == "twice":
                outcome = yield invocation.next_attempt(Failure("unavailable"))
            if kind == "raise after":
                raise RuntimeError(kind)
            if kind == "swap":
                return Right("swapped")
            if kind == "rescue" and not outcome.is_right():
                return Right(outcome.monoid[0].code)
            return outcome
        finally:
            log.append(f"{number} {kind} out")

    return flow


GUARDS = ("pass", "deny", "raise", "none", "change")


def run(kinds: list[str], method: str, drive: Any) -> tuple[str, list[str], list[float]]:
    log: list[str] = []
    stages = [
        (guard_of if kind in GUARDS else flow_of)(kind, number, log) for number, kind in enumerate(kinds)
    ]

    def answer(x: int) -> Any:
        log.append(f"method {x}")
        if method == "raises":
            raise RuntimeError(method)
        return ("gone", 404) if method == "responds" else x

    class S(Service):
        @entry(no_auth=True, stages=stages)
        def get(self, x: int = 3):
            return answer(x)

        @entry("GET", "/async", no_auth=True, stages=stages)
        async def aget(self, x: int = 3):
            return answer(x)

    clock = VirtualClock()
    app = App(S(), clock=clock)
    try:
        outcome = drive(app, "s.aget" if method == "awaits" else "s.get")
    finally:
        app.kill()
    return repr(outcome.monoid), log, clock.waits


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.lists(st.sampled_from(KINDS), max_size=6),
    st.sampled_from(["returns", "raises", "responds", "awaits"]),
)
def test_any_stack_of_stages_does_the_same_on_both(kinds, method):
    assert run(kinds, method, sync_drive) == run(kinds, method, async_drive)
