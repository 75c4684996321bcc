"""The stores in DynamoDB, against a server of moto."""

from __future__ import annotations

import socket
from functools import partial

import pytest

from tests.stores.breaker_laws import OPEN, SharedBreakerStoreLaws
from tests.stores.dynamodb import REGION, create_table, credentials
from tests.stores.idempotency_laws import NOW, IdempotencyStoreLaws, record
from unimicro.errors import ConfigurationError
from unimicro.pipeline.ports import GRACE
from unimicro.stores.dynamodb import DynamoDbBreakerStore, DynamoDbIdempotencyStore

BOTH = pytest.mark.parametrize("kind", [DynamoDbBreakerStore, DynamoDbIdempotencyStore])


@pytest.fixture(scope="module", autouse=True)
def environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in credentials().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def client(dynamodb_server):
    """A client of a server that has the table ``shared``."""
    return create_table(dynamodb_server.port, "shared")


@pytest.fixture(scope="module")
def settings(client):
    # The machine of the tests may be slow; what is too slow has a test of its own.
    return {"table": "shared", "endpoint": client.meta.endpoint_url, "region": REGION, "timeout": 10}


# One for all laws: it takes boto3 a while to make a client.
@pytest.fixture(scope="module")
def circuits(settings):
    return DynamoDbBreakerStore(**settings)


@pytest.fixture(scope="module")
def calls(settings):
    return DynamoDbIdempotencyStore(**settings)


class TestDynamoDbBreakerStore(SharedBreakerStoreLaws):
    @pytest.fixture
    def make_store(self, settings):
        return partial(DynamoDbBreakerStore, **settings)

    @pytest.fixture
    def store(self, circuits):
        return circuits


class TestDynamoDbIdempotencyStore(IdempotencyStoreLaws):
    @pytest.fixture
    def store(self, calls):
        return calls

    def test_a_claim_that_was_written_before_its_answer_was_lost_is_granted(self, store, key):
        assert store.claim(key, record("first"), NOW) is None
        assert store.claim(key, record("first"), NOW) is None
        assert store.claim(key, record("second"), NOW) == record("first")

    def test_a_record_says_when_the_table_may_delete_it(self, store, key, client):
        store.claim(key, record("first", seconds=30.5), NOW)
        item = client.get_item(TableName="shared", Key={"id": {"S": f"unimicro:idempotency:{key}"}})["Item"]
        assert item["delete_at"] == {"N": str(int(NOW + 31 + GRACE))}


def test_a_store_reads_what_was_written_last(settings, client):
    asked = []
    store = DynamoDbBreakerStore(**settings)
    store.swap("consistent", OPEN)
    calls = store._table._client().meta.events
    calls.register("provide-client-params.dynamodb.GetItem", lambda params, **_: asked.append(params))
    store.read("consistent")
    assert [params["ConsistentRead"] for params in asked] == [True]


def test_a_forked_process_has_a_client_of_its_own(circuits, monkeypatch):
    of_process = circuits._table._client
    before = of_process()
    monkeypatch.setattr("os.getpid", lambda: -1)
    after = of_process()
    assert after is not before
    assert of_process() is after


def test_nothing_is_connected_before_it_is_used():
    DynamoDbBreakerStore(table="shared", region=REGION, endpoint="http://127.0.0.1:1")


@pytest.mark.parametrize(("kind", "attempts"), [(DynamoDbBreakerStore, 1), (DynamoDbIdempotencyStore, 2)])
def test_a_service_that_does_not_answer_is_an_error_after_few_attempts(kind, attempts):
    from botocore.exceptions import BotoCoreError

    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = kind(table="shared", region=REGION, endpoint=endpoint, timeout=0.05)
        ask = store.read if attempts == 1 else partial(store.release, owner="first")
        with pytest.raises(BotoCoreError):
            ask("orders.place")
        silent.setblocking(False)
        for _ in range(attempts):
            silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_table_that_is_not_there_is_an_error(settings):
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError, match=r"ResourceNotFound"):
        DynamoDbBreakerStore(**{**settings, "table": "missing"}).read("orders.place")


@BOTH
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("table", ""),
        ("table", None),
        ("table", "ab"),
        ("table", "no blanks"),
        ("prefix", ""),
        ("timeout", 0),
        ("timeout", "soon"),
        ("region", ""),
        ("region", "no blanks"),
        ("endpoint", ""),
        ("endpoint", "127.0.0.1"),
        ("endpoint", "http://no blanks:8000"),
        ("endpoint", "http://127.0.0.1:port"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(kind, setting, value):
    with pytest.raises(ConfigurationError, match=rf"^{setting} "):
        kind(**{"table": "shared", "region": REGION, setting: value})


@BOTH
def test_a_region_that_nobody_set_is_refused(kind, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigurationError, match=r"^region "):
        kind(table="shared")


@BOTH
def test_the_region_of_the_environment_is_taken(kind):
    kind(table="shared")
