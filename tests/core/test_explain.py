"""What ``explain`` says of a pipeline is true of it."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimicro import App, Breaker, Deadline, Retry, Service, Timeout, Token, VirtualClock, entry
from unimicro.errors import ConfigurationError, Unavailable
from unimicro.explain import explain

SECONDS = st.floats(0.01, 20, allow_nan=False)


class Slow(Service):
    """Takes as long, and fails as often, as it is told to."""

    def __init__(self, clock, script):
        super().__init__(name="slow")
        self.clock = clock
        self.script = list(script)
        self.calls = 0

    @entry(no_auth=True, safe=True)
    async def get(self) -> str:
        self.calls += 1
        seconds, fails = self.script.pop(0) if self.script else (0.0, False)
        await self.clock.asleep(seconds)
        if fails:
            raise Unavailable("down")
        return "fine"


POLICIES = st.tuples(
    st.none() | st.builds(Deadline, SECONDS),
    st.none() | st.builds(Timeout, SECONDS),
    st.none() | st.builds(Retry, attempts=st.integers(1, 6), base=SECONDS, cap=SECONDS),
    st.none() | st.builds(Breaker, window=st.just(3), minimum_calls=st.just(2), open_seconds=SECONDS),
)


@given(policies=POLICIES, script=st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=8))
@settings(max_examples=200, deadline=None)
def test_no_call_exceeds_the_bound(policies, script):
    clock = VirtualClock()
    service = Slow(clock, script)
    app = App(service, policies=[policy for policy in policies if policy is not None], clock=clock)
    bound = explain(app, "slow.get").worst_case
    before = clock.now()
    asyncio.run(app.acall("slow.get"))
    assert service.calls <= bound.attempts
    assert clock.now() - before <= bound.seconds + 1e-6


def test_the_bound_is_reached():
    clock = VirtualClock()
    service = Slow(clock, [(9, True)] * 3)
    app = App(service, policies=[Deadline(10), Timeout(1), Retry(attempts=3, base=0.001)], clock=clock)
    bound = explain(app, "slow.get").worst_case
    before = clock.now()
    asyncio.run(app.acall("slow.get"))
    assert (bound.seconds, bound.attempts) == (pytest.approx(3.003, abs=0.01), 3)
    assert clock.now() - before == pytest.approx(bound.seconds, abs=0.01)


def lints_of(*policies, **options):
    class Work(Service):
        @entry(safe=True, **options)
        async def get(self) -> str:
            return "fine"

        @entry
        def post(self) -> None:
            pass

    return explain(App(Work(), policies=policies), "work.get").lints


SENSIBLE = (Deadline(10), Timeout(2), Retry(attempts=3))

LINTS = {
    "nothing about what is sensible": (SENSIBLE, ""),
    "attempts that do not fit": (
        (Deadline(5), Timeout(2), Retry(attempts=3)),
        "3 attempts of 2 s do not fit",
    ),
    "no deadline": ((), "no deadline"),
    "a retry of attempts without end": ((Deadline(5), Retry()), "a retry without a timeout"),
    "an entry that lost its authorizer": ((*SENSIBLE, Token(mode="off")), "no authorizer is in force (app)"),
    "a policy that only looks on": ((*SENSIBLE, Breaker(mode="shadow")), "breaker is in shadow (app)"),
}


@pytest.mark.parametrize(("policies", "text"), LINTS.values(), ids=LINTS)
def test_it_warns_of(policies, text):
    lints = lints_of(*policies)
    if not text:
        assert lints == ()
    assert all(lint.startswith(text) for lint in lints if text)
    assert bool(lints) is bool(text)


def test_an_endless_pipeline_has_no_limit():
    class Work(Service):
        @entry
        async def get(self) -> str:
            return "fine"

    assert explain(App(Work()), "work.get").worst_case == (math.inf, 1)


def test_an_unknown_operation_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match=r"'slow.gte'; did you mean 'slow.get'"):
        explain(App(Slow(VirtualClock(), [])), "slow.gte")
