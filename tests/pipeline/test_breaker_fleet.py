"""A circuit that processes share: here apps that have nothing but a clock and a store in common."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from tests.pipeline.conftest import sync_drive
from unimicro import App, Breaker, Service, VirtualClock, entry
from unimicro.errors import Unavailable
from unimicro.invocation import IN_PROCESS, Invocation
from unimicro.outcome import Right
from unimicro.pipeline.ports import CircuitRecord
from unimicro.pipeline.stages import Do
from unimicro.stores.memory import MemoryBreakerStore

SETTINGS = {"window": 4, "minimum_calls": 4, "open_seconds": 10, "jitter": 0, "refresh": 1}


class Store(MemoryBreakerStore):
    """Counts what is asked of it, and can be out."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.writes = self.refused_writes = self.asked = 0
        self.out = self.loses_answers = False

    def read(self, circuit):
        self.reads += 1
        self.asked += 1
        if self.out:
            raise ConnectionError("the store is out")
        return super().read(circuit)

    def swap(self, circuit, record):
        self.asked += 1
        if self.out:
            raise ConnectionError("the store is out")
        written = super().swap(circuit, record)
        self.writes += written
        self.refused_writes += not written
        if self.loses_answers:
            raise ConnectionError("the answer is lost")
        return written

    @property
    def record(self) -> CircuitRecord | None:
        return self._records.get("work")


class BlockingStore(Store):
    """As all that are reached over a network: asked in a thread."""

    blocking = True


class Worker(Service):
    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.calls = 0

    def work(self):
        self.calls += 1
        if self.down:
            raise Unavailable("down")

    @entry(no_auth=True)
    def get(self):
        self.work()

    @entry(no_auth=True)
    async def get_async(self):
        self.work()


class Process:
    """An app, and a service that works or does not."""

    def __init__(self, store: Any, clock: VirtualClock, drive: Any = sync_drive, **settings: Any) -> None:
        self.worker = Worker()
        self._drive = drive
        breaker = Breaker("work", store="fleet", **{**SETTINGS, **settings})
        self.app = App(self.worker, clock=clock, policies=[breaker], stores={"fleet": store})
        self.circuit = self.app.circuit("work")

    def calls(self, count: int = 1, *, down: bool = False) -> str:
        """``.`` for a call that reached the service, ``-`` for a refused one."""
        self.worker.down = down
        marks = ""
        for _ in range(count):
            before = self.worker.calls
            self._drive(self.app, "worker.get")
            marks += "." if self.worker.calls > before else "-"
        return marks


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture(params=[Store, BlockingStore])
def store(request):
    return request.param()


@pytest.fixture
def pair(store, clock, drive):
    return Process(store, clock, drive), Process(store, clock, drive)


def test_what_one_finds_out_the_other_knows_within_the_refresh_interval(pair, store, clock):
    first, second = pair
    assert second.calls() == "."
    first.calls(4, down=True)
    assert (second.calls(), store.record.state, store.record.version) == (".", "open", 1)
    clock.advance(1)
    assert second.calls(3) == "---"
    assert second.circuit.retry_after() == pytest.approx(9)


def test_a_process_that_begins_knows_it_at_once(pair, store, clock):
    pair[0].calls(4, down=True)
    assert Process(store, clock).calls() == "-"


def test_healthy_traffic_writes_nothing_and_reads_once_in_a_while(pair, store, clock):
    for _ in range(100):
        for process in pair:
            assert process.calls(5) == "....."
        clock.advance(0.1)
    assert (store.writes, store.refused_writes) == (0, 0)
    assert store.reads <= 2 * 11


def test_failures_that_open_nothing_write_nothing(pair, store, clock):
    for _ in range(10):
        pair[0].calls(3)
        pair[0].calls(1, down=True)
        clock.advance(1)
    assert store.record is None


def test_one_probes_for_all_and_closes_it_for_all(pair, store, clock):
    first, second = pair
    second.calls()
    first.calls(4, down=True)
    clock.advance(10)
    assert second.calls() == "."
    assert store.record == CircuitRecord("closed", 3)
    clock.advance(1)
    assert first.calls(3) == "..."


def test_a_probe_that_fails_lets_all_wait_twice_as_long(pair, store, clock):
    first, second = pair
    second.calls()
    first.calls(4, down=True)
    clock.advance(10)
    assert second.calls(2, down=True) == ".-"
    clock.advance(1)
    assert first.calls() == "-"
    assert first.circuit.retry_after() == second.circuit.retry_after() == pytest.approx(19)
    clock.advance(19)
    assert first.calls(2, down=True) == ".-"
    assert first.circuit.retry_after() == pytest.approx(40)


def probing(process: Process) -> Any:
    """A call that has got in and has not ended."""
    stage = next(stage for stage in process.app.stages_of("worker.get") if stage.name == "breaker")
    steps = stage.run(Invocation("worker.get", principal=IN_PROCESS, id="test"))
    assert isinstance(perform(steps, next(steps)), Invocation)
    return steps


def ended(steps: Any) -> None:
    """It ends now, with success."""
    with pytest.raises(StopIteration):
        perform(steps, steps.send(Right(None)))


def perform(steps: Any, step: Any) -> Any:
    """What the stage yields once the store has answered."""
    while isinstance(step, Do):
        try:
            answer = step.function(*step.args)
        except Exception as error:
            step = steps.throw(error)
        else:
            step = steps.send(answer)
    return step


def test_while_one_probes_the_others_are_refused(pair, store, clock):
    first, second = pair
    first.calls(4, down=True)
    clock.advance(10)
    probe = probing(first)
    assert (store.record.state, store.record.lease_until) == ("half_open", clock.time() + 30)
    assert second.calls(2) == "--"
    clock.advance(29)
    assert second.calls(2) == "--"
    probe.close()


def test_of_two_that_ask_for_the_lease_at_once_one_gets_it(pair, store, clock):
    first, second = pair
    first.calls(4, down=True)
    second.calls()
    clock.advance(9.5)
    assert first.calls() + second.calls() == "--"
    clock.advance(0.5)  # neither reads before it asks
    probe = probing(first)
    assert second.calls(2) == "--"
    assert store.refused_writes == 1
    ended(probe)


def test_who_asks_for_a_lease_and_learns_that_it_is_closed_goes_on(pair, store, clock):
    first, second = pair
    first.calls(4, down=True)
    second.calls()
    clock.advance(9.5)
    first.calls()
    second.calls()
    clock.advance(0.5)
    assert first.calls() + second.calls() == ".."
    assert (store.record.version, store.refused_writes) == (3, 1)


def test_another_s_recovery_does_not_wipe_out_what_a_closed_circuit_has_counted(pair, clock):
    first, second = pair
    second.calls(3, down=True)
    first.calls(4, down=True)
    clock.advance(10)
    first.calls()
    assert second.calls(2, down=True) == ".-"


def test_who_vanishes_while_it_probes_is_waited_for_no_longer_than_the_lease(pair, store, clock):
    first, second = pair
    first.calls(4, down=True)
    clock.advance(10)
    probe = probing(first)
    second.calls()
    clock.advance(30)
    assert second.calls() == "-"
    assert (store.record.state, store.record.openings) == ("open", 2)
    clock.advance(20)
    assert second.calls() == "."
    assert store.record.state == "closed"
    # The one that was believed lost comes back, and is not heard.
    ended(probe)
    assert store.record.state == "closed"


def test_two_that_open_at_once_agree_on_one_wait(pair, store, clock):
    first, second = pair
    first.calls(3, down=True)
    second.calls(3, down=True)
    clock.advance(0.5)
    first.calls(1, down=True)
    clock.advance(0.3)
    second.calls(1, down=True)
    assert (store.writes, store.refused_writes) == (1, 1)
    assert first.circuit.retry_after() == second.circuit.retry_after() == pytest.approx(9.7)


class TestOutage:
    def test_no_outcome_changes_and_each_goes_on_alone(self, pair, store, clock, caplog):
        first, second = pair
        store.out = True
        with caplog.at_level(logging.WARNING, "unimicro"):
            for _ in range(20):
                assert first.calls(2) == ".."
                clock.advance(1)
            assert first.calls(4, down=True) == "..--"
            assert second.calls() == "."
            clock.advance(10)
            assert first.calls(3) == "..."
        fails = [record for record in caplog.records if "fails; this process goes on alone" in record.message]
        assert len(fails) == 2  # once a process

    def test_an_opening_meanwhile_is_told_when_the_store_is_back(self, pair, store, clock, caplog):
        first, second = pair
        second.calls()
        store.out = True
        clock.advance(1)
        first.calls(4, down=True)
        second.calls()
        store.out = False
        clock.advance(5)
        with caplog.at_level(logging.WARNING, "unimicro"):
            assert first.calls() == "-"
        assert "the store of circuit 'work' answers again" in caplog.text
        assert store.record.state == "open"
        assert second.calls() == "-"
        assert first.circuit.retry_after() == second.circuit.retry_after() == pytest.approx(5)

    def test_news_from_the_store_win_over_what_happened_meanwhile(self, pair, store, clock):
        first, second = pair
        store.out = True
        first.calls(4, down=True)
        second.calls(4, down=True)
        clock.advance(10)
        assert second.calls() == "."
        assert (first.circuit.state, second.circuit.state) == ("open", "closed")
        store.out = False
        clock.advance(5)
        assert first.calls(1, down=True) == "."  # its wait is over: it probes, with the lease
        assert store.record.state == "open"
        assert second.calls() == "-"

    def test_a_probe_of_the_outage_needs_its_lease_when_the_store_is_back(self, pair, store, clock):
        first, second = pair
        first.calls(4, down=True)
        second.calls()
        store.out = True
        clock.advance(10)
        probe = probing(first)
        store.out = False
        clock.advance(5)
        first.calls()
        assert (store.record.state, store.record.version) == ("half_open", 2)
        assert second.calls() == "-"
        probe.close()

    def test_attempts_to_reach_it_become_rare(self, store, clock):
        process = Process(store, clock)
        store.out = True
        for _ in range(200):
            process.calls()
            clock.advance(0.5)
        assert store.reads <= 4 + 100 / 5
        store.out = False
        clock.advance(5)
        before = store.reads
        process.calls()
        assert store.reads == before + 1

    def test_it_is_asked_by_one_caller_at_a_time_only(self, store, clock):
        process = Process(store, clock)
        store.out = True
        process.calls(50, down=True)
        assert store.asked == 1
        clock.advance(2)
        process.calls(50, down=True)
        assert store.asked == 2

    def test_a_store_that_reads_but_does_not_write_is_out_too(self, store, clock, caplog):
        process = Process(store, clock)
        store.swap = lambda circuit, record: 1 / 0
        with caplog.at_level(logging.WARNING, "unimicro"):
            process.calls(4, down=True)
            for _ in range(20):
                clock.advance(0.9)
                process.calls(1, down=True)
        assert caplog.text.count("goes on alone") == 1
        assert "answers again" not in caplog.text

    def test_a_store_that_was_emptied_is_told_again(self, pair, store, clock):
        first, second = pair
        second.calls()
        first.calls(4, down=True)
        store._records.clear()
        clock.advance(1)
        assert first.calls() == "-"
        assert (store.record.state, store.record.version) == ("open", 1)
        assert second.calls() == "-"

    def test_a_record_of_the_same_version_in_a_store_that_was_emptied_is_news(self, pair, store, clock):
        first, second = pair
        first.calls(4, down=True)
        second.calls()
        clock.advance(1)
        second.calls()
        store._records.clear()
        third = Process(store, clock)
        third.circuit.force_open()
        third.calls()
        assert store.record.version == 1
        clock.advance(20)
        assert second.calls() == "-"

    def test_a_lease_whose_answer_was_lost_is_held_all_the_same(self, pair, store, clock):
        first, second = pair
        first.calls(4, down=True)
        clock.advance(10)
        store.loses_answers = True
        probe = probing(first)
        assert store.record.state == "half_open"
        store.loses_answers = False
        clock.advance(5)
        assert first.calls() == "-"
        assert second.calls() == "-"
        ended(probe)
        assert store.record.state == "closed"

    @pytest.mark.parametrize("state", ["ajar", "", "metrics_only"])
    def test_a_record_that_makes_no_sense_is_an_outage(self, pair, store, clock, state):
        store._records["work"] = CircuitRecord(state, 7)
        assert pair[0].calls(5, down=True) == "....-"

    def test_a_store_that_refuses_the_version_after_the_one_it_shows_is_an_outage(self, pair, store, clock):
        first, second = pair
        first.calls(4, down=True)
        second.calls()
        store.swap = lambda circuit, record: False
        clock.advance(10)
        assert first.calls(2) == ".."
        assert second.calls(2) == ".."


def test_a_store_that_has_a_length_is_shared_while_it_is_empty(clock):
    class Countable(Store):
        def __len__(self) -> int:
            return len(self._records)

    store, worker = Countable(), Worker()
    app = App(worker, clock=clock, policies=[Breaker("work", store=store, **SETTINGS)])
    worker.down = True
    for _ in range(4):
        app.call("worker.get")
    assert store.record.state == "open"


class TestClocksThatDiffer:
    def test_no_wait_of_another_is_longer_than_the_longest_of_ones_own(self, store, clock):
        ahead = Process(store, VirtualClock(epoch=clock.time() + 86_400))
        process = Process(store, clock, max_open_seconds=40)
        ahead.calls(4, down=True)
        assert process.calls() == "-"
        assert process.circuit.retry_after() == pytest.approx(40)
        clock.advance(40)
        assert process.calls(2) == ".."

    def test_nor_is_a_lease(self, store, clock):
        ahead_clock = VirtualClock(epoch=clock.time() + 86_400)
        ahead = Process(store, ahead_clock)
        ahead.calls(4, down=True)
        ahead_clock.advance(10)
        probe = probing(ahead)
        process = Process(store, clock)
        assert process.calls() == "-"
        clock.advance(30)
        assert process.calls() == "-"  # its end is an opening, as ever
        clock.advance(20)
        assert process.calls(2) == ".."
        probe.close()

    @pytest.mark.parametrize("number", [1e308, -1e308])
    def test_nor_is_one_that_makes_no_sense(self, store, clock, number):
        store._records["work"] = CircuitRecord("open", 7, retry_at=number, openings=10**30)
        process = Process(store, clock)
        process.calls()
        clock.advance(60)
        assert process.calls(2) == ".."
        assert store.record.state == "closed"


def test_a_thread_that_cannot_be_started_is_an_outage_that_passes(clock, monkeypatch):
    def refused(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    store = BlockingStore()
    process = Process(store, clock)
    with monkeypatch.context() as patch:
        patch.setattr("unimicro.pipeline.time_limit.Thread.start", refused)
        assert process.calls(4, down=True) == "...."
    clock.advance(5)
    assert process.calls() == "-"
    assert store.record.state == "open"


def test_a_slow_store_is_waited_for_no_longer_than_its_timeout(clock, drive, caplog):
    answer = threading.Event()
    store = BlockingStore()
    store.read = lambda circuit: answer.wait(20)
    process = Process(store, clock, drive, store_timeout=0.05)
    before = set(threading.enumerate())
    try:
        with caplog.at_level(logging.WARNING, "unimicro"):
            for _ in range(3):
                assert process.calls() == "."
                clock.advance(10)
        begun = set(threading.enumerate()) - before
        assert len(begun) < 10
        assert sum(thread.name == "unimicro-time-limit" for thread in begun) == 1
    finally:
        answer.set()
    assert caplog.text.count("goes on alone") == 1


def test_while_one_caller_is_at_the_store_the_others_go_on(clock):
    answer, asked = threading.Event(), threading.Event()
    store = BlockingStore()
    store.read = lambda circuit: asked.set() or (answer.wait(20) and None)
    process = Process(store, clock, store_timeout=30)
    caller = threading.Thread(target=process.app.call, args=("worker.get",))
    caller.start()
    try:
        assert asked.wait(10)
        assert process.calls(5) == "....."
    finally:
        answer.set()
        caller.join(10)
    assert process.worker.calls == 6


def test_a_probe_cancelled_while_it_waits_for_the_lease_gives_its_place_back(clock):
    store = BlockingStore()
    answer, asked = threading.Event(), threading.Event()
    process = Process(store, clock, store_timeout=30)
    process.calls(4, down=True)
    process.worker.down = False
    clock.advance(10)
    swap, store.swap = store.swap, lambda *args: asked.set() or (answer.wait(20) and swap(*args))

    async def cancel():
        task = asyncio.create_task(process.app.acall("worker.get_async"))
        while not asked.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answer.set()
        return await process.app.acall("worker.get_async")

    assert asyncio.run(asyncio.wait_for(cancel(), 10)).is_right()


def test_a_second_probe_does_not_start_before_the_lease_is_there(clock):
    store = BlockingStore()
    answer, asked = threading.Event(), threading.Event()
    process = Process(store, clock, store_timeout=30, permitted_probes=2, max_concurrent_probes=2)
    process.calls(4, down=True)
    process.worker.down = False
    clock.advance(10)
    swap, store.swap = store.swap, lambda *args: asked.set() or (answer.wait(20) and swap(*args))
    caller = threading.Thread(target=process.app.call, args=("worker.get",))
    caller.start()
    try:
        assert asked.wait(10)
        assert process.calls(3) == "---"
    finally:
        answer.set()
        caller.join(10)
    # Its place was given back.
    assert process.calls() == "."
    assert process.circuit.state == "closed"


class TestForced:
    def test_what_is_forced_open_here_is_so_for_all_and_so_is_the_reset(self, pair, store, clock):
        first, second = pair
        second.calls()
        first.circuit.force_open()
        assert first.calls() == "-"
        clock.advance(1)
        assert second.calls() == "-"
        second.circuit.reset()
        assert second.calls() == "."
        clock.advance(1)
        assert first.calls() == "."
        assert store.record == CircuitRecord("closed", 2)

    def test_it_wins_over_what_others_found_out(self, pair, store, clock):
        first, second = pair
        first.calls()
        second.calls(4, down=True)
        first.circuit.force_open()
        for _ in range(3):
            assert first.calls() == "-"
        assert store.record.state == "forced_open"
        clock.advance(20)
        assert second.calls() == "-"

    @pytest.mark.parametrize("force", ["disable", "metrics_only"])
    def test_what_is_disabled_or_watched_here_follows_nobody(self, pair, store, clock, force):
        first, second = pair
        getattr(first.circuit, force)()
        second.calls(4, down=True)
        clock.advance(1)
        assert first.calls(6, down=True) == "......"
        assert store.record.version == 1


def test_a_round_of_several_probes_renews_its_lease(store, clock):
    process = Process(store, clock, permitted_probes=4)
    process.calls(4, down=True)
    clock.advance(10)
    for _ in range(3):
        assert process.calls() == "."
        assert store.record.state == "half_open"
        assert store.record.lease_until > clock.time() + 14
        clock.advance(16)
    assert process.calls(2) == ".."
    assert store.record.state == "closed"


def test_several_probes_at_once_are_all_of_the_one_that_has_the_lease(pair, store, clock):
    first, second = (Process(store, clock, permitted_probes=3, max_concurrent_probes=2) for _ in range(2))
    first.calls(4, down=True)
    clock.advance(10)
    probes = [probing(first), probing(first)]
    assert (first.calls(), second.calls()) == ("-", "-")
    for probe in probes:
        probe.close()


def test_in_shadow_mode_nobody_else_is_told(store, clock):
    first, second = Process(store, clock, mode="shadow"), Process(store, clock)
    assert first.calls(9, down=True) == "........."
    assert (store.record, store.reads) == (None, 0)
    assert second.calls() == "."
