"""The store of keyed calls in this process."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.stores.idempotency_laws import NOW, IdempotencyStoreLaws, record
from unimicro.errors import ConfigurationError
from unimicro.pipeline.ports import GRACE
from unimicro.stores.memory import MemoryIdempotencyStore


class TestMemoryIdempotencyStore(IdempotencyStoreLaws):
    @pytest.fixture
    def store(self):
        return MemoryIdempotencyStore()


def test_it_never_waits():
    assert MemoryIdempotencyStore.blocking is False


def test_what_has_ended_makes_room():
    store = MemoryIdempotencyStore(max_bytes=3000)
    for number in range(10):
        store.claim(f"a{number}", record("first", answer=b"x" * 2000), NOW + number * (GRACE + 31))


def test_what_ended_a_little_while_ago_makes_room_in_the_end():
    store = MemoryIdempotencyStore(max_bytes=3000)
    store.claim("a", record("first"), NOW)
    store.claim("b", record("first", seconds=60), NOW + 31)
    for key in ("c", "d", "e"):
        assert store.claim(key, record("first", seconds=9 * GRACE), NOW + 2 * GRACE) is None


def test_calls_that_give_their_keys_back_leave_nothing_behind():
    store = MemoryIdempotencyStore()
    tracemalloc.start()
    try:
        for number in range(20_000):
            store.claim(f"key {number}", record("first"), NOW)
            store.release(f"key {number}", "first")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000


def test_what_was_given_back_in_between_keeps_no_record_from_making_room():
    store = MemoryIdempotencyStore(max_bytes=3000)
    store.claim("a", record("first"), NOW)
    store.claim("b", record("first"), NOW)
    for _ in range(5000):
        store.claim("c", record("first"), NOW)
        store.release("c", "first")
    for key in ("c", "d", "e"):
        assert store.claim(key, record("second", seconds=9 * GRACE), NOW + 2 * GRACE) is None


def test_a_full_store_refuses_claims_and_forgets_nothing():
    store = MemoryIdempotencyStore(max_bytes=3000)
    for key in ("a", "b", "c"):
        assert store.claim(key, record("first"), NOW) is None
    with pytest.raises(MemoryError):
        store.claim("d", record("first"), NOW)
    assert store.claim("a", record("second"), NOW) == record("first")


def test_a_full_store_takes_the_answers_of_calls_that_were_made():
    store = MemoryIdempotencyStore(max_bytes=1)
    store.claim("a", record("first"), NOW)
    assert store.complete("a", record("first", answer=b"x" * 5000), NOW)
    with pytest.raises(MemoryError):
        store.claim("b", record("first"), NOW)


def test_a_release_makes_room():
    store = MemoryIdempotencyStore(max_bytes=1)
    for _ in range(3):
        store.claim("a", record("first"), NOW)
        store.release("a", "first")
        assert store.claim("b", record("first"), NOW) is None
        store.release("b", "first")


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "1"])
def test_an_impossible_limit_is_refused(limit):
    with pytest.raises(ConfigurationError, match="max_bytes"):
        MemoryIdempotencyStore(max_bytes=limit)
