"""The store of keyed calls in an SQLite file."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.stores.idempotency_laws import NOW, IdempotencyStoreLaws, record
from unimicro.errors import ConfigurationError
from unimicro.pipeline.ports import GRACE
from unimicro.stores.sqlite import SqliteIdempotencyStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls.db"


@pytest.fixture
def store(path):
    store = SqliteIdempotencyStore(path=path)
    yield store
    store.close()


class TestSqliteIdempotencyStore(IdempotencyStoreLaws):
    @pytest.fixture
    def store(self, tmp_path):
        store = SqliteIdempotencyStore(path=tmp_path / "laws.db")
        yield store
        store.close()


def test_answers_outlive_the_process(store, path):
    store.claim("a", record("first"), NOW)
    store.complete("a", record("first", answer=b"done"), NOW)
    store.close()
    again = SqliteIdempotencyStore(path=str(path))
    assert again.claim("a", record("second"), NOW) == record("first", answer=b"done")
    again.close()


def test_a_closed_store_opens_again(store):
    store.claim("a", record("first"), NOW)
    store.close()
    assert store.claim("a", record("second"), NOW) == record("first")


def rows(path) -> int:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM idempotency").fetchone()[0]
    finally:
        connection.close()


def test_the_file_forgets_what_has_ended(store, path):
    for number in range(50):
        store.claim(f"a{number}", record("first"), NOW)
    later = NOW + 30 + GRACE
    for number in range(5):
        store.claim(f"b{number}", record("first", seconds=2 * GRACE), later - 1)
    assert rows(path) == 55
    for number in range(5):
        store.claim(f"c{number}", record("first", seconds=2 * GRACE), later)
    assert rows(path) == 10


def test_a_file_that_another_keeps_locked_is_an_error_in_time(path):
    store = SqliteIdempotencyStore(path=path, timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        store.claim("a", record("first"), NOW)
    other.execute("ROLLBACK")
    other.close()
    assert store.claim("a", record("first"), NOW) is None
    store.close()


def test_many_may_open_a_new_file_at_once(path):
    with ThreadPoolExecutor(8) as threads:
        made = [threads.submit(SqliteIdempotencyStore, path=path) for _ in range(16)]
        stores = [one.result(30) for one in made]
    held = [one.claim("a", record(f"owner-{number}"), NOW) for number, one in enumerate(stores)]
    assert held == [None] + [record("owner-0")] * 15
    for one in stores:
        one.close()


def test_of_many_claims_through_several_openings_one_is_granted(path):
    """As several processes claim: they share nothing but the file."""
    stores = [SqliteIdempotencyStore(path=path) for _ in range(8)]

    def claim(number: int, key: str) -> bool:
        return stores[number].claim(key, record(f"owner-{number}"), NOW) is None

    with ThreadPoolExecutor(8) as threads:
        for key in map(str, range(20)):
            claims = [threads.submit(claim, number, key) for number in range(8)]
            assert [made.result(30) for made in claims].count(True) == 1
    for one in stores:
        one.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(store):
    store.claim("a", record("first"), NOW)
    inherited = set(store._connections._idle)
    fork = multiprocessing.get_context("fork")
    seen = fork.SimpleQueue()

    def child() -> None:
        held = store.claim("a", record("second"), NOW)
        seen.put((held, bool(inherited & set(store._connections._idle))))

    process = fork.Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert seen.get() == (record("first"), False)
    assert store.claim("a", record("third"), NOW) == record("first")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"path": ""}, "path"),
        ({"path": ":memory:"}, "path"),
        ({"path": 7}, "path"),
        ({"path": "x\0.db"}, "path"),
        ({"path": "/nowhere/at/all/calls.db"}, "path"),
        ({"path": "x.db", "timeout": 0}, "timeout"),
        ({"path": "x.db", "timeout": float("nan")}, "timeout"),
    ],
)
def test_impossible_settings_are_refused(settings, named):
    with pytest.raises(ConfigurationError, match=named):
        SqliteIdempotencyStore(**settings)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database\n" * 100)
    with pytest.raises(ConfigurationError, match=r"notes\.txt"):
        SqliteIdempotencyStore(path=path)
