"""What every store of keyed calls must do; a test of one inherits it and makes a store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import pytest

from unimicro.pipeline.ports import GRACE, IdempotencyRecord

NOW = 1_700_000_000.0
"""Of a virtual clock: a store that asked its own clock would find every record long expired."""


def record(owner: str, *, seconds: float = 30.0, answer: bytes | None = None) -> IdempotencyRecord:
    return IdempotencyRecord("digest", owner, NOW + seconds, answer)


class IdempotencyStoreLaws:
    """Inherit it, and give it a fixture ``store``. It may be one for all tests: each has a key of its own.

    class TestMine(IdempotencyStoreLaws):
        @pytest.fixture
        def store(self): return Mine()
    """

    @pytest.fixture
    def store(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def key(self) -> str:
        return token_hex(32)

    def test_the_first_claim_is_granted(self, store, key):
        assert store.claim(key, record("first"), NOW) is None

    def test_a_second_claim_is_shown_the_first(self, store, key):
        store.claim(key, record("first"), NOW)
        assert store.claim(key, record("second"), NOW + 29.9) == record("first")

    def test_claims_of_other_keys_do_not_meet(self, store, key):
        store.claim(key, record("first"), NOW)
        assert store.claim(key + "x", record("second"), NOW) is None

    def test_a_claim_stands_until_the_very_end_of_its_lease(self, store, key):
        store.claim(key, record("first"), NOW)
        assert store.claim(key, record("second", seconds=60), NOW + 30) is None
        assert store.claim(key, record("third", seconds=60), NOW + 31) == record("second", seconds=60)

    def test_a_completed_call_shows_its_answer(self, store, key):
        store.claim(key, record("first"), NOW)
        done = record("first", seconds=1000, answer=b"done")
        assert store.complete(key, done, NOW + 1) is True
        assert store.claim(key, record("second", seconds=1030), NOW + 999.9) == done

    @pytest.mark.parametrize("answer", [b"", bytes(range(256)), b"x" * 300_000], ids=["none", "all", "many"])
    def test_answers_are_kept_octet_by_octet(self, store, key, answer):
        store.claim(key, record("first"), NOW)
        store.complete(key, record("first", answer=answer), NOW)
        held = store.claim(key, record("second"), NOW)
        assert (held.answer, type(held.answer)) == (answer, bytes)

    def test_a_record_comes_back_as_it_was_written(self, store, key):
        given = IdempotencyRecord("f" * 64, "owner-1f", NOW + 30.123456, None)
        store.claim(key, given, NOW)
        held = store.claim(key, record("second"), NOW)
        assert type(held) is IdempotencyRecord
        assert held._replace(expires_at=0) == given._replace(expires_at=0)
        assert held.expires_at == pytest.approx(given.expires_at, abs=0.001)

    def test_an_answer_is_forgotten_after_its_retention(self, store, key):
        store.claim(key, record("first"), NOW)
        store.complete(key, record("first", seconds=1000, answer=b"done"), NOW + 1)
        assert store.claim(key, record("second", seconds=1030), NOW + 1000) is None

    def test_an_answer_outlives_the_lease_of_its_call(self, store, key):
        store.claim(key, record("first"), NOW)
        done = record("first", seconds=3 * GRACE, answer=b"done")
        store.complete(key, done, NOW + 1)
        late = NOW + 2 * GRACE
        for other in range(3):
            store.claim(f"{key}{other}", record("other", seconds=3 * GRACE), late)
        assert store.claim(key, record("second", seconds=3 * GRACE), late) == done

    def test_a_lost_lease_cannot_be_completed(self, store, key):
        store.claim(key, record("first"), NOW)
        store.claim(key, record("second", seconds=60), NOW + 30)
        assert store.complete(key, record("first", seconds=1000, answer=b"late"), NOW + 31) is False
        assert store.claim(key, record("third", seconds=60), NOW + 31) == record("second", seconds=60)

    def test_an_answer_is_not_overwritten_by_a_lost_lease(self, store, key):
        store.claim(key, record("first"), NOW)
        store.claim(key, record("second", seconds=60), NOW + 30)
        done = record("second", seconds=1000, answer=b"done")
        assert store.complete(key, done, NOW + 31) is True
        assert store.complete(key, record("first", seconds=1000, answer=b"late"), NOW + 32) is False
        assert store.claim(key, record("third", seconds=60), NOW + 33) == done

    def test_a_late_answer_counts_while_nobody_else_claimed_the_key(self, store, key):
        store.claim(key, record("first"), NOW)
        late = NOW + 30 + GRACE / 2
        done = record("first", seconds=GRACE + 1000, answer=b"late")
        assert store.complete(key, done, late) is True
        assert store.claim(key, record("second", seconds=GRACE + 1000), late) == done

    def test_what_was_never_claimed_cannot_be_completed(self, store, key):
        assert store.complete(key, record("first", answer=b"done"), NOW) is False
        assert store.claim(key, record("second"), NOW) is None

    def test_a_released_key_is_free(self, store, key):
        store.claim(key, record("first"), NOW)
        assert store.release(key, "first") is None
        assert store.claim(key, record("second"), NOW) is None

    def test_a_released_key_cannot_be_completed(self, store, key):
        store.claim(key, record("first"), NOW)
        store.release(key, "first")
        assert store.complete(key, record("first", answer=b"done"), NOW) is False

    def test_only_the_owner_releases(self, store, key):
        store.claim(key, record("first"), NOW)
        store.release(key, "second")
        assert store.claim(key, record("second"), NOW) == record("first")

    def test_a_release_of_nothing_is_harmless(self, store, key):
        store.release(key, "first")
        assert store.claim(key, record("first"), NOW) is None

    def test_of_many_claims_at_once_one_is_granted(self, store, key):
        with ThreadPoolExecutor(8) as threads:
            claims = [threads.submit(store.claim, key, record(f"owner-{n}"), NOW) for n in range(32)]
            held = [claim.result(30) for claim in claims]
        assert held.count(None) == 1
        winner = record(f"owner-{held.index(None)}")
        assert {other for other in held if other is not None} == {winner}

    def test_of_many_claims_of_an_expired_lease_one_is_granted(self, store, key):
        store.claim(key, record("crashed"), NOW)
        with ThreadPoolExecutor(8) as threads:
            claims = [
                threads.submit(store.claim, key, record(f"owner-{n}", seconds=90), NOW + 31)
                for n in range(32)
            ]
            held = [claim.result(30) for claim in claims]
        assert held.count(None) == 1
