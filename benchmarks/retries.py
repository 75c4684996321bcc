"""A retry alone, on the happy path: what it adds to a call that succeeds, against tenacity and stamina.

python benchmarks/retries.py
"""

from __future__ import annotations

from functools import partial

import stamina
import tenacity
from turns import in_turns, per_call, print_goal, print_table

from unimicro import App, Retry, Service, entry
from unimicro.invocation import Invocation, new_id

CALLS = 20_000
ROUNDS = 15
GOAL = 0.5

INCLUDED = """\
Each candidate calls a function that returns None, with three attempts, exponential backoff and jitter set up
beforehand. unimicro's figure is the difference of two entries, with Retry() (budget included) and without,
as the rest of a call is there anyway; the peers' figures are theirs less the bare function's."""


def work() -> None:
    return None


class Plain(Service):
    @entry(no_auth=True, safe=True)
    def get(self) -> None:
        return None

    @entry(no_auth=True, safe=True, retry=Retry())
    def get_retried(self) -> None:
        return None


def candidates() -> dict[str, object]:
    app = App(Plain(), config={})
    call = {
        name: partial(app.run, Invocation(name, id=new_id())) for name in ("plain.get", "plain.get_retried")
    }
    wait = tenacity.wait_random_exponential(multiplier=0.05, max=20)
    peers = {
        "tenacity": tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=wait)(work),
        "stamina": stamina.retry(on=OSError, attempts=3)(work),
    }
    return {
        "function": work,
        "entry": call["plain.get"],
        "entry, Retry()": call["plain.get_retried"],
        **peers,
    }


def report() -> None:
    print(INCLUDED)
    figures = in_turns({name: per_call(call, CALLS) for name, call in candidates().items()}, ROUNDS)
    print_table(f"sync, best of {ROUNDS} rounds of {CALLS} calls", figures, "us")
    best = {name: min(values) for name, values in figures.items()}
    fastest = min(best["tenacity"], best["stamina"]) - best["function"]
    added = best["entry, Retry()"] - best["entry"]
    print(f"  a retry adds {added:.3f} us to an entry, the fastest peer {fastest:.2f} us to a function")
    print_goal("retry of an entry / fastest peer", added / fastest, GOAL)
    whole = best["entry, Retry()"] - best["function"]
    print(f"  the whole call of the entry, with its pipeline, is {whole / fastest:.2f} of the fastest peer")


if __name__ == "__main__":
    report()
