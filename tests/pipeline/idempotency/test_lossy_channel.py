"""Each effect exactly once, however often calls and answers are lost and delivered again."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.core.helpers import failure
from tests.pipeline.idempotency.calls import invocation, till
from tests.pipeline.idempotency.lossy import Bank, Lossy
from unimicro import App, VirtualClock
from unimicro.stores.memory import MemoryIdempotencyStore
from unimicro.stores.sqlite import SqliteIdempotencyStore

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryIdempotencyStore()
        return
    store = SqliteIdempotencyStore(path=tmp_path / "calls.db")
    yield store
    store.close()


COUNTS = [5_000, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
counts = pytest.mark.parametrize("count", COUNTS)


def check(bank: Bank, count: int, receipts: dict[str, int]) -> None:
    assert len(receipts) == count
    assert set(bank.effects) == set(receipts)
    assert set(bank.effects.values()) == {1}
    # Each caller has the answer of the one call that ran.
    assert sorted(receipts.values()) == list(range(1, count + 1))


@counts
def test_threads_calling_through_a_lossy_channel(store, count):
    bank = Bank(store, seed=1)
    app = App(bank)
    channels = [Lossy(app, "bank.pay", seed) for seed in range(4)]
    receipts: dict[str, int] = {}

    def work(number: int) -> None:
        for call in range(number, count, len(channels)):
            receipts[f"k{call}"] = channels[number].call(f"k{call}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(channels))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(1500)
    check(bank, count, receipts)
    assert sum(channel.delivered for channel in channels) > 1.3 * count
    for channel in channels:
        channel.flush(app.door("memory").handle)
    check(bank, count, receipts)


@counts
def test_tasks_calling_through_a_lossy_channel(store, count):
    bank = Bank(store, seed=2)
    app = App(bank)
    channel = Lossy(app, "bank.apay", seed=3)
    receipts: dict[str, int] = {}

    async def work(number: int) -> None:
        for call in range(number, count, 20):
            receipts[f"k{call}"] = await channel.acall(f"k{call}")

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(20)))

    asyncio.run(main())
    check(bank, count, receipts)


def test_callers_that_share_their_keys_share_one_effect_and_one_answer(store):
    bank = Bank(store, seed=4)
    app = App(bank)
    heard: list[dict[str, int]] = []

    def work(seed: int) -> None:
        channel = Lossy(app, "bank.pay", seed)
        heard.append({f"k{call}": channel.call(f"k{call}") for call in range(200)})

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert heard == [heard[0]] * 6
    check(bank, 200, heard[0])


# -- processes ------------------------------------------------------------------------------------------

BOTH = """
import json, os, sys, time
from unimicro import App, Idempotency, Service, entry
from unimicro.invocation import CallPayload, Invocation

path, effects, step = sys.argv[1:]

class Shop(Service):
    @entry(no_auth=True, idempotency=Idempotency(store="calls", on_duplicate="wait", poll=0.001))
    def buy(self, *, key: str):
        with open(effects, "a") as file:
            file.write(f"{key}\\n")
        time.sleep(0.002)  # the file is free meanwhile: SQLite's waiting is not fair
        return f"{os.getpid()} {key}"

app = App(Shop(), config={"stores": {"calls": {"kind": "sqlite", "path": path, "timeout": 20.0}}})
print("ready", flush=True)
sys.stdin.readline()
answers = {}
for number in range(200)[:: int(step)]:
    key = f"k{number}"
    answers[key] = app.run(Invocation("shop.buy", CallPayload((), {"key": key}), key=key)).value
print(json.dumps(answers))
"""

DYING = """
import os, sys
from unimicro import App, Idempotency, Service, VirtualClock, entry
from unimicro.invocation import CallPayload, Invocation, Principal

class Till(Service):
    @entry(no_auth=True, idempotency=Idempotency(store="calls", lease=60.0))
    def pay(self, *, amount: int = 1, note: str = ""):
        os._exit(9)

app = App(Till(), clock=VirtualClock(), config={"stores": {"calls": {"kind": "sqlite", "path": sys.argv[1]}}})
app.run(Invocation("till.pay", CallPayload(), principal=Principal("alice"), key="k1"))
"""


def started(program: str, *arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_two_processes_that_share_a_file_share_each_effect(tmp_path):
    effects = tmp_path / "effects"
    # From both ends, so that each comes first to some.
    both = [started(BOTH, tmp_path / "calls.db", effects, step) for step in (1, -1)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=50)[0]) for process in both]
    assert answers[0] == answers[1]
    assert sorted(effects.read_text().split()) == sorted(f"k{number}" for number in range(200))
    assert len({answer.split()[0] for answer in answers[0].values()}) == 2


def test_a_call_whose_process_died_can_be_made_again_after_its_lease(tmp_path):
    process = started(DYING, tmp_path / "calls.db")
    process.communicate(timeout=50)
    assert process.returncode == 9
    clock = VirtualClock()
    store = SqliteIdempotencyStore(path=tmp_path / "calls.db")
    service, app = till(store, clock=clock)
    assert failure(app.run(invocation("till.pay", "k1"))).code == "aborted"
    clock.advance(60)
    assert app.run(invocation("till.pay", "k1")).value == {"receipt": 1, "amount": 1}
    assert service.paid == [1]
    store.close()
