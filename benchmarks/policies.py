"""Policies alone, on the happy path: a breaker against three others; then the retry, see ``retries.py``.

python benchmarks/policies.py
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pybreaker
from aws_lambda_powertools.utilities import circuit_breaker as powertools
from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerPersistenceLayer
from aws_lambda_powertools.utilities.circuit_breaker.persistence.base import CircuitBreakerExistingLockError
from interlock import CircuitBreaker, Config
from turns import in_turns, per_call, print_goal, print_table

from unimicro import App, Breaker, Failure, Invocation, Left, Right, Service, entry
from unimicro.invocation import new_id
from unimicro.pipeline._sync import run_bracket
from unimicro.pipeline.circuit import Circuit
from unimicro.pipeline.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[[], Any]
    Make = Callable[[Call], Call]

CALLS = 50_000
ROUNDS = 15
GOAL = 0.5
THREADS = 50

INCLUDED = """\
Each candidate calls a function that returns None, closed and without a failure. Of unimicro that is the
breaker's stage in the driver's layer, around a function that returns an outcome made beforehand; the entries
show the same through app.run. Correct is who, half open, lets one of 50 threads probe, lets calls overlap,
and takes a probe back at once that a BaseException cut off. interlock-cb has the windows of unimicro, the
others count failures in a row."""


class Memory(CircuitBreakerPersistenceLayer):
    """Powertools' state in this process; its package has DynamoDB only."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, Any] = {}
        self._writing = threading.Lock()

    def _get_record(self, name: str) -> Any:
        return self._kept.get(name)

    def _put_record(self, record: Any, condition: Any = None, expected_opened_at: Any = None) -> None:
        with self._writing:
            held = self._kept.get(record.name)
            if condition and (held.half_open_owner or held.opened_at != expected_opened_at):
                raise CircuitBreakerExistingLockError
            self._kept[record.name] = record

    def _update_record(self, record: Any) -> None:
        self._kept[record.name] = record


def powertools_breaker(work: Call, **settings: Any) -> Call:
    config = powertools.CircuitBreakerConfig(**settings)
    return powertools.circuit_breaker(f"bench {new_id()}", Memory(), config=config)(work)


def unimicro_breaker(work: Call, **settings: Any) -> Call:
    """Called and refused as the peers are, for the questions; ``layer_of`` is what is measured."""

    def below(invocation: Invocation) -> Any:
        try:
            return Right(work())
        except Exception:
            return Left(Failure("unavailable"))

    layer = layer_of(below, **settings)

    def call() -> None:
        if layer(INVOCATION).is_left():
            raise ConnectionError

    return call


INVOCATION = Invocation("bench.call")


def layer_of(below: Any, **settings: Any) -> Any:
    circuit = Circuit("bench", Breaker("bench", **settings), SystemClock())
    return run_bracket(circuit.bracket, "breaker", below)


def quick_ones() -> dict[str, tuple[Make, float]]:
    """Breakers that open after two failures and probe soon: name to how to make one, and its wait."""

    def interlock_breaker(work: Call) -> Call:
        config = Config(
            window_size=2,
            minimum_number_of_calls=2,
            wait_duration_in_open=0.05,
            permitted_calls_in_half_open=1,
        )
        return CircuitBreaker(name="bench", config=config)(work)

    def pybreaker_breaker(work: Call) -> Call:
        return pybreaker.CircuitBreaker(fail_max=2, reset_timeout=0.05)(work)

    quick = {"failure_threshold": 2, "recovery_timeout": 1, "success_threshold": 1, "local_cache_max_age": 0}
    return {
        "unimicro": (partial(unimicro_breaker, window=2, minimum_calls=2, open_seconds=0.05), 0.1),
        "interlock-cb": (interlock_breaker, 0.1),
        "powertools": (partial(powertools_breaker, **quick), 2.1),
        "pybreaker": (pybreaker_breaker, 0.1),
    }


# -- three questions -----------------------------------------------------------------------------


class Dependency:
    """Fails at first; then does what it is told."""

    def __init__(self) -> None:
        self.do: Call = self.fail
        self.inside = 0
        self._counting = threading.Lock()

    def fail(self) -> None:
        raise ConnectionError

    def cut_off(self) -> None:
        raise KeyboardInterrupt

    def __call__(self) -> None:
        with self._counting:
            self.inside += 1
        self.do()


def half_open(make: Make, wait: float) -> tuple[Dependency, Call]:
    dependency = Dependency()
    call = make(dependency)
    for _ in range(2):
        attempt(call)
    time.sleep(wait)
    dependency.inside = 0
    return dependency, call


def attempt(call: Call) -> bool:
    try:
        call()
    except BaseException:
        return False
    return True


def lets_one_probe(make: Make, wait: float) -> bool:
    dependency, call = half_open(make, wait)
    go = threading.Event()
    dependency.do = lambda: go.wait(1.0)
    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(attempt, call) for _ in range(THREADS)]
        ends = time.monotonic() + 2.0
        while sum(future.done() for future in running) < THREADS - 1 and time.monotonic() < ends:
            time.sleep(0.01)
        go.set()
    return dependency.inside == 1


def lets_calls_overlap(make: Make, wait: float) -> bool:
    barrier = threading.Barrier(5)
    call = make(lambda: barrier.wait(1.0))
    with ThreadPoolExecutor(5) as pool:
        return all(future.result() for future in [pool.submit(attempt, call) for _ in range(5)])


def takes_a_probe_back(make: Make, wait: float) -> bool:
    dependency, call = half_open(make, wait)
    dependency.do = dependency.cut_off
    attempt(call)
    dependency.do = lambda: None
    other = threading.Thread(target=attempt, args=(call,))
    other.start()
    other.join()
    return dependency.inside == 2


QUESTIONS = (lets_one_probe, lets_calls_overlap, takes_a_probe_back)


def correct_ones() -> list[str]:
    """Prints the answers; the names of the peers that say yes to all."""
    print(f"\n  {'':12}  " + "  ".join(question.__name__.replace("_", " ") for question in QUESTIONS))
    correct = []
    for name, (make, wait) in quick_ones().items():
        answers = [question(make, wait) for question in QUESTIONS]
        correct += [name] * all(answers)
        cells = (
            f"{'yes' if yes else 'NO':{len(q.__name__)}}" for yes, q in zip(answers, QUESTIONS, strict=True)
        )
        print(f"  {name:12}  " + "  ".join(cells))
    return correct


# -- the happy path ------------------------------------------------------------------------------


def work() -> None:
    return None


class Plain(Service):
    @entry(no_auth=True)
    def get(self) -> None:
        return None

    @entry(no_auth=True, breaker=Breaker())
    def get_guarded(self) -> None:
        return None


def breakers() -> None:
    print(INCLUDED)
    correct = correct_ones()
    worked = Right(None)
    layer = layer_of(lambda invocation: worked)
    app = App(Plain(), config={})
    entries = [partial(app.run, Invocation(name, id=new_id())) for name in ("plain.get", "plain.get_guarded")]
    candidates = {
        "function": work,
        "unimicro": lambda: layer(INVOCATION),
        "interlock-cb": CircuitBreaker(name="bench")(work),
        "powertools": powertools_breaker(work),
        "pybreaker": pybreaker.CircuitBreaker()(work),
        "entry": entries[0],
        "entry, Breaker()": entries[1],
    }
    figures = in_turns({name: per_call(call, CALLS) for name, call in candidates.items()}, ROUNDS)
    print_table(f"breaker, sync, best of {ROUNDS} rounds of {CALLS} calls", figures, "us", "unimicro")
    best = {name: min(values) for name, values in figures.items()}
    peers = [name for name in correct if name != "unimicro"]
    print(f"  in an entry it adds {best['entry, Breaker()'] - best['entry']:.3f} us")
    for name in peers:
        print_goal(f"breaker / {name}, which is correct", best["unimicro"] / best[name], GOAL)
    if not peers:
        print("  no peer is correct")


if __name__ == "__main__":
    breakers()
    print()
    from retries import report

    report()
