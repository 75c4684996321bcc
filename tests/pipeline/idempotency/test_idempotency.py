"""Idempotency keys: what a repeated call is answered, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.helpers import failure
from tests.pipeline.idempotency.calls import (
    ALICE,
    BOB,
    BY_CODE,
    Broken,
    Till,
    invocation,
    leave_claimed,
    till,
)
from unimicro import App, Idempotency, Principal, Service, VirtualClock, entry
from unimicro.errors import ConfigurationError, DefinitionError
from unimicro.outcome import CODES
from unimicro.pipeline.policy import Bound

# -- done: the stored outcome ------------------------------------------------------------------------


def test_a_repeated_call_runs_once_and_is_answered_alike(send, store):
    service, app = till(store)
    answers = [send(app, "till.pay", "k1", amount=5) for _ in range(3)]
    assert [answer.value for answer in answers] == [{"receipt": 1, "amount": 5}] * 3
    assert service.paid == [5]


def test_another_key_is_another_call(send, store):
    service, app = till(store)
    for key in ("k1", "k2"):
        send(app, "till.pay", key, amount=5)
    assert service.paid == [5, 5]


def test_calls_without_a_key_are_not_compared(send, store):
    service, app = till(store)
    for _ in range(2):
        assert send(app, "till.pay", None).is_right()
    assert service.paid == [1, 1]


def test_a_key_counts_for_one_principal(send, store):
    service, app = till(store)
    for principal in (ALICE, BOB, None, Principal("")):
        send(app, "till.pay", "k1", principal, amount=5)
    assert service.paid == [5] * 4


def test_a_subject_of_another_issuer_is_another_principal(send, store):
    service, app = till(store)
    for issuer in ("https://one.example", "https://two.example"):
        principal = Principal("alice", claims={"iss": issuer, "exp": len(service.paid)})
        assert send(app, "till.pay", "k1", principal, amount=5).is_right()
        assert send(app, "till.pay", "k1", principal._replace(claims={"iss": issuer}), amount=5).is_right()
    assert service.paid == [5, 5]


def test_a_key_counts_for_one_operation(send, store):
    class Two(Service):
        policies = (Idempotency(store=store),)

        @entry(no_auth=True)
        def first(self):
            return "first"

        @entry(no_auth=True)
        def second(self):
            return "second"

    app = App(Two(), clock=VirtualClock())
    assert [send(app, f"two.{name}", "k1").value for name in ("first", "second")] == ["first", "second"]


def test_scope_and_key_cannot_be_mistaken_for_one_another(send, store):
    service, app = till(store)
    send(app, "till.pay", "c", Principal("a:b"))
    send(app, "till.pay", "b:c", Principal("a"))
    assert service.paid == [1, 1]


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_permanent_failure_is_kept_and_one_that_may_pass_is_not(send, store, code):
    service, app = till(store, BY_CODE[code]("text", details={"a": 1}))
    first, second = (send(app, "till.pay", "k1") for _ in range(2))
    assert failure(first).code == code
    kept = CODES[code].retryable == "no" and code != "canceled"
    assert len(service.paid) == (1 if kept else 2)
    assert (failure(second) == failure(first)) if kept else second.value["receipt"] == 2


def test_an_unexpected_exception_leaves_the_key_free(send, store):
    _service, app = till(store, RuntimeError("once"))
    assert failure(send(app, "till.pay", "k1")).code == "internal"
    assert send(app, "till.pay", "k1").value["receipt"] == 2


def test_an_answer_is_forgotten_after_its_retention(send, store):
    clock = VirtualClock()
    service, app = till(store, clock=clock, retention=100.0)
    send(app, "till.pay", "k1")
    clock.advance(99.9)
    send(app, "till.pay", "k1")
    assert len(service.paid) == 1
    clock.advance(0.2)
    send(app, "till.pay", "k1")
    assert len(service.paid) == 2


# -- other payload, missing, too long -----------------------------------------------------------------


def test_a_key_with_other_arguments_is_422(send, store):
    service, app = till(store)
    send(app, "till.pay", "k1", amount=5)
    refused = failure(send(app, "till.pay", "k1", amount=6))
    assert (refused.code, refused.status, refused.layer) == ("invalid_argument", 422, "idempotency")
    assert service.paid == [5]


def test_arguments_are_the_same_whatever_their_order(send, store):
    service, app = till(store)
    send(app, "till.pay", "k1", amount=5, note="x")
    assert send(app, "till.pay", "k1", note="x", amount=5).is_right()
    assert service.paid == [5]


def test_the_members_of_an_argument_are_the_same_whatever_their_order(send, store):
    class Loose(Service):
        @entry(no_auth=True, idempotency=Idempotency(store=store))
        def put(self, *, items: dict[str, Any], numbers: set[int]):
            return len(items)

    app = App(Loose(), clock=VirtualClock())
    assert send(app, "loose.put", "k1", items={"a": 1, "b": {"c": 1, "d": 2}}, numbers=[0, 8]).is_right()
    assert send(app, "loose.put", "k1", items={"b": {"d": 2, "c": 1}, "a": 1}, numbers=[8, 0]).is_right()
    assert send(app, "loose.put", "k1", items={"a": 1, "b": {"c": 2, "d": 1}}, numbers=[0, 8]).is_left()


def nested(depth: int) -> Any:
    items: Any = []
    for _ in range(depth):
        items = [items]
    return items


@pytest.mark.parametrize("options", [{}, {"key": "items"}], ids=["header", "argument"])
@pytest.mark.parametrize("items", [nested(700), {"a": object()}], ids=["nested", "object"])
def test_arguments_that_cannot_be_compared_are_400(send, store, items, options):
    class Loose(Service):
        calls = 0

        @entry(no_auth=True, idempotency=Idempotency(store=store), **options)
        def put(self, *, items: Any):
            Loose.calls += 1

    refused = failure(send(App(Loose(), clock=VirtualClock()), "loose.put", "k1", items=items))
    assert (refused.code, refused.status, refused.layer) == ("invalid_argument", 400, "idempotency")
    assert Loose.calls == 0


def test_a_missing_key_is_400_where_one_is_required(send, store):
    service, app = till(store, required=True)
    refused = failure(send(app, "till.pay", None))
    assert (refused.code, refused.status, refused.layer) == ("invalid_argument", 400, "idempotency")
    assert "Idempotency-Key" in refused.message
    assert service.paid == []
    assert send(app, "till.pay", "k1").is_right()


def test_a_key_has_255_characters_at_most(send, store):
    service, app = till(store)
    assert send(app, "till.pay", "k" * 255).is_right()
    refused = failure(send(app, "till.pay", "k" * 256))
    assert (refused.code, refused.status) == ("invalid_argument", 400)
    assert service.paid == [1]


@pytest.mark.parametrize("key", ["k1", '"k1"', '  "k1" '])
def test_the_header_is_quoted_or_bare(key):
    service, app = till("memory", required=True)
    client = app.test_client()
    first = client.post("/pay", json={"amount": 5}, headers={"Idempotency-Key": "k1"})
    again = client.post("/pay", json={"amount": 5}, headers={"Idempotency-Key": key})
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert service.paid == [5]


# -- the key is an argument -----------------------------------------------------------------------------


class Orders(Service):
    def __init__(self, policy: Idempotency) -> None:
        super().__init__()
        self.placed: list[Any] = []

        def place(self, *, order_id: int | str | None = None, amount: int = 1):
            self.placed.append(order_id)
            return len(self.placed)

        decorated = entry(no_auth=True, key="order_id", idempotency=policy)(place)
        self.__class__ = type("Orders", (Orders,), {"place": decorated})


def test_the_argument_that_the_entry_names_is_the_key(send, store):
    service = Orders(Idempotency(store=store))
    app = App(service, clock=VirtualClock())
    for order_id in (7, 7, "7", "eight", "eight"):
        # The header counts for nothing here.
        assert send(app, "orders.place", "k1", order_id=order_id).is_right()
    assert service.placed == [7, "7", "eight"]
    assert failure(send(app, "orders.place", "k2", order_id=7, amount=2)).status == 422


def test_a_missing_key_argument_is_400_where_one_is_required(send, store):
    app = App(Orders(Idempotency(store=store, required=True)), clock=VirtualClock())
    for arguments in ({}, {"order_id": None}, {"order_id": ""}):
        refused = failure(send(app, "orders.place", "k1", **arguments))
        assert refused.status == 400
        assert "order_id" in refused.message


# -- outages -----------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["direct", "threaded"])
def blocking(request):
    return request.param


def test_without_its_store_a_keyed_call_is_refused(send, blocking, caplog):
    service, app = till(Broken("claim", blocking=blocking))
    refused = failure(send(app, "till.pay", "k1"))
    assert (refused.code, refused.layer, refused.retry_after) == ("unavailable", "idempotency", 1.0)
    assert "10.0.0.7" not in refused.message
    assert "10.0.0.7" in caplog.text
    assert service.paid == []
    assert send(app, "till.pay", None).is_right()


def test_without_its_store_a_keyed_call_may_run_unprotected(send, blocking):
    _service, app = till(Broken("claim", blocking=blocking), on_outage="run")
    assert [send(app, "till.pay", "k1").value["receipt"] for _ in range(2)] == [1, 2]


def test_an_answer_that_cannot_be_stored_is_given_all_the_same(send, blocking, caplog):
    _service, app = till(Broken("complete", blocking=blocking))
    assert send(app, "till.pay", "k1").value["receipt"] == 1
    assert "the store of idempotency keys failed" in caplog.text
    assert failure(send(app, "till.pay", "k1")).code == "aborted"


def test_a_failure_is_given_although_its_key_cannot_be_given_back(send, blocking):
    _service, app = till(Broken("release", blocking=blocking), BY_CODE["unavailable"]("busy"))
    assert failure(send(app, "till.pay", "k1")).message == "busy"


# -- answers that cannot be kept ------------------------------------------------------------------------


def test_a_call_whose_answer_is_too_large_to_keep_is_still_made_once(send, store, caplog):
    service, app = till(store, max_bytes=20)
    assert send(app, "till.pay", "k1").is_right()
    refused = failure(send(app, "till.pay", "k1"))
    assert (refused.code, refused.layer) == ("already_exists", "idempotency")
    assert service.paid == [1]
    assert "its answer is not kept" in caplog.text


def test_a_call_whose_answer_has_no_stored_form_is_still_made_once(send, store):
    class Odd(Service):
        calls = 0

        @entry(no_auth=True, idempotency=Idempotency(store=store))
        def pay(self):
            Odd.calls += 1
            return object()

    app = App(Odd(), clock=VirtualClock())
    assert type(send(app, "odd.pay", "k1").value) is object
    assert failure(send(app, "odd.pay", "k1")).code == "already_exists"
    assert Odd.calls == 1


def test_a_stored_answer_that_cannot_be_read_does_not_make_the_call_run_again(send, store):
    clock = VirtualClock()
    service, app = till(store, clock=clock)
    complete = store.complete
    store.complete = lambda key, record, now: complete(key, record._replace(answer=b"\xff{"), now)
    send(app, "till.pay", "k1")
    assert failure(send(app, "till.pay", "k1")).code == "already_exists"
    assert service.paid == [1]


# -- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"lease": 0}, "Idempotency.lease"),
        ({"retention": -1}, "Idempotency.retention"),
        ({"poll": 0}, "Idempotency.poll"),
        ({"lease": float("inf")}, "Idempotency.lease"),
        ({"lease": 1e300}, "Idempotency.lease"),
        ({"lease": 10**400}, "Idempotency.lease"),
        ({"retention": float("inf")}, "Idempotency.retention"),
        ({"retention": float("nan")}, "Idempotency.retention"),
        ({"poll": float("inf")}, "Idempotency.poll"),
        ({"max_bytes": 0.5}, "Idempotency.max_bytes"),
        ({"on_duplicate": "queue"}, "Idempotency.on_duplicate"),
        ({"on_outage": "maybe"}, "Idempotency.on_outage"),
        ({"required": 1}, "Idempotency.required"),
        ({"required": "false"}, "Idempotency.required"),
    ],
)
def test_impossible_settings_are_refused(settings, named):
    with pytest.raises(DefinitionError, match=named):
        Idempotency(**settings)


def test_a_store_that_is_none_is_refused_at_assembly():
    with pytest.raises(ConfigurationError, match=r"Idempotency\.store of till\.pay"):
        till("nowhere")
    with pytest.raises(DefinitionError, match=r"till\.pay.*has no method claim"):
        till(object())


def test_the_stores_of_the_configuration_are_found_by_name(tmp_path):
    service = Till(Idempotency(store="calls"))
    path = tmp_path / "calls.db"
    app = App(service, config={"stores": {"calls": {"kind": "sqlite", "path": str(path)}}})
    for _ in range(2):
        app.run(invocation("till.pay", "k1"))
    assert service.paid == [1]
    assert path.exists()


def test_waiting_takes_a_lease_at_most():
    below = Bound(2.0, 3)
    assert Idempotency(lease=30.0).worst_case(below) == below
    assert Idempotency(lease=30.0, on_duplicate="wait").worst_case(below) == Bound(32.0, 3)


def test_in_shadow_mode_calls_run_and_nobody_waits(send, store):
    clock = VirtualClock()
    _service, app = till(store, clock=clock, mode="shadow", on_duplicate="wait")
    leave_claimed(store, clock, lease=1000.0)
    assert [send(app, "till.pay", key).value["receipt"] for key in ("k1", "k2", "k2")] == [1, 2, 3]
    assert clock.waits == []
