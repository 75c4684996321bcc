"""What every store of circuits must do; a test of one inherits it and makes a store."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import pytest

from unimicro.pipeline.ports import CircuitRecord

OPEN = CircuitRecord("open", 1, 1_700_000_005.123456, 1)
PROBE = CircuitRecord("half_open", 2, 1_700_000_005.5, 1, "host-1-7f", 1_700_000_035.25)
CLOSED = CircuitRecord("closed", 3)
THREADS = 16
READS = 40
"""Of two processes at the same time: enough to meet on a connection, if they shared one."""

_names = count()


class BreakerStoreLaws:
    """Inherit it, give it a fixture ``store``; tests may share one: each takes a circuit of its own.

    class TestMine(BreakerStoreLaws):
        @pytest.fixture
        def store(self): return Mine()
    """

    @pytest.fixture
    def store(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def circuit(self) -> str:
        return f"orders.place-{next(_names)}"

    def test_an_unknown_circuit_has_no_record(self, store, circuit):
        assert store.read(circuit) is None

    def test_the_first_record_is_version_one(self, store, circuit):
        assert store.swap(circuit, OPEN) is True
        assert store.read(circuit) == OPEN

    def test_a_first_record_of_a_later_version_is_refused(self, store, circuit):
        assert store.swap(circuit, PROBE) is False
        assert store.read(circuit) is None

    def test_a_record_comes_back_as_it_was_written(self, store, circuit):
        for record in (OPEN, PROBE, CLOSED, CircuitRecord("forced_open", 4)):
            assert store.swap(circuit, record) is True
            read = store.read(circuit)
            assert (read, [*map(type, read)]) == (record, [*map(type, record)])

    @pytest.mark.parametrize("version", [1, 2, 4])
    def test_a_record_that_does_not_follow_the_stored_one_changes_nothing(self, store, circuit, version):
        store.swap(circuit, OPEN)
        store.swap(circuit, PROBE)
        assert store.swap(circuit, CircuitRecord("closed", version)) is False
        assert store.read(circuit) == PROBE

    def test_circuits_do_not_meet(self, store, circuit):
        store.swap(circuit, OPEN)
        assert store.read(circuit + "x") is None
        assert store.swap(circuit + "x", OPEN) is True

    @pytest.mark.parametrize(
        "name", ["zürich ☂ 支払い", "a/../b//c?x=1#y", "..", "50%25", "a b+c&d", "'\"\\{}", ":1"]
    )
    def test_any_text_names_a_circuit(self, store, circuit, name):
        assert store.swap(circuit + name, OPEN) is True
        assert store.swap(name + circuit, OPEN) is True
        assert store.read(circuit + name) == OPEN
        assert store.read(circuit) is None

    @pytest.mark.parametrize("before", [0, 1])
    def test_of_many_swaps_at_once_one_wins(self, store, circuit, before):
        if before:
            store.swap(circuit, OPEN)
        records = [CircuitRecord("half_open", before + 1, holder=str(n)) for n in range(THREADS)]
        together = Barrier(THREADS, timeout=20)

        def swap(record):
            together.wait()
            return store.swap(circuit, record)

        with ThreadPoolExecutor(THREADS) as threads:
            won = list(threads.map(swap, records, timeout=30))
        assert won.count(True) == 1
        assert store.read(circuit) == records[won.index(True)]

    def test_each_of_many_transitions_is_made_once(self, store, circuit):
        def transitions(_):
            made = 0
            for _ in range(5):
                before = store.read(circuit)
                version = before.version + 1 if before else 1
                made += store.swap(circuit, CircuitRecord("open", version))
            return made

        with ThreadPoolExecutor(4) as threads:
            made = sum(threads.map(transitions, range(4), timeout=30))
        assert store.read(circuit).version == made


class SharedBreakerStoreLaws(BreakerStoreLaws):
    """Laws of stores that processes share: a fixture ``make_store`` makes any number of the same."""

    @pytest.fixture
    def make_store(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def store(self, make_store) -> Any:
        return make_store()

    def test_another_process_sees_what_was_written(self, make_store, circuit):
        assert make_store().swap(circuit, OPEN) is True
        assert make_store().read(circuit) == OPEN
        assert make_store().swap(circuit, OPEN) is False

    def test_prefixes_keep_programs_apart(self, make_store, circuit):
        assert make_store(prefix="shop:").swap(circuit, OPEN) is True
        assert make_store(prefix="bank:").read(circuit) is None

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_parent_and_child_of_a_fork_use_connections_of_their_own(self, store, circuit):
        of_parent, of_child = OPEN, OPEN._replace(retry_at=9.0)
        store.swap(circuit, of_parent)
        store.swap(circuit + "x", of_child)
        child = os.fork()
        if not child:
            went_well = False
            try:
                went_well = {store.read(circuit + "x") for _ in range(READS)} == {of_child}
            finally:
                os._exit(0 if went_well else 1)
        seen = {store.read(circuit) for _ in range(READS)}
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert seen == {of_parent}
