from __future__ import annotations

import asyncio
import gc
import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass

import pytest

from tests.channels.carrier import Carrier
from unimicro import (
    App,
    Budget,
    Failure,
    Invocation,
    Left,
    Outcome,
    Principal,
    Retry,
    Right,
    Service,
    Try,
    VirtualClock,
    entry,
    event,
)
from unimicro.channels.client.channel import not_sent
from unimicro.channels.client.context import idempotency_key
from unimicro.channels.client.manager import ServiceManager, adisconnect, connect, disconnect
from unimicro.component import service
from unimicro.errors import ConfigurationError, DefinitionError, NotFound, PermissionDenied, Unavailable


class OutOfStock(Exception):
    code = "failed_precondition"


@dataclass
class Order:
    id: str


class Orders(Service):
    def __init__(self, database: object) -> None:
        super().__init__()
        self.database = database

    @entry(safe=True)
    def get(self, order_id: str) -> Order:
        return Order(order_id)

    @entry(errors=[OutOfStock])
    def place(self, order_id: str) -> str:
        if order_id == "none":
            raise OutOfStock(order_id)
        return order_id

    @entry(idempotent=True)
    async def cancel(self, order_id: str) -> str:
        return f"canceled {order_id}"

    def helper(self) -> str:
        return "only here"


@service(name="greetings")
class Greetings(Service, ABC):
    @abstractmethod
    def hello(self, name: str) -> str: ...

    @abstractmethod
    async def ahello(self, name: str) -> str: ...


class GreetingsImpl(Greetings):
    def hello(self, name: str) -> str:
        return f"hello {name}"

    async def ahello(self, name: str) -> str:
        return f"hello {name}, later"


@pytest.fixture
def carrier(monkeypatch):
    """The test channel, empty."""
    monkeypatch.setattr(Carrier, "sent", [])
    monkeypatch.setattr(Carrier, "closed", [])
    return Carrier


async def later():
    return "a token"


def remote(interface, **options):
    return connect(interface, address="test://a", channel="carrier", config={}, **options)


def app_of(*services, **options):
    return App(*services, config={}, **options)


class TestAProxy:
    def test_is_an_object_of_the_interface(self, carrier):
        assert isinstance(remote(Orders), Orders)
        assert isinstance(remote(Greetings), Greetings)

    def test_sends_name_and_arguments_as_they_were_given(self, carrier):
        assert remote(Orders).place("42") == ["42"]
        [(uri, wire, invocation)] = carrier.sent
        assert (uri, wire, invocation.operation) == ("test://a", "orders.place", "orders.place")
        assert (invocation.payload.args, invocation.payload.kwargs) == (("42",), {})

    def test_of_an_async_method_is_awaited(self, carrier):
        assert asyncio.run(remote(Orders).cancel(order_id="42")) == []
        assert carrier.sent[0][2].payload.kwargs == {"order_id": "42"}

    def test_never_runs_the_constructor_of_the_class(self, carrier):
        with pytest.raises(AttributeError):
            remote(Orders).database  # noqa: B018

    def test_does_not_run_here_what_is_no_entry(self, carrier):
        with pytest.raises(DefinitionError, match=r"Orders\.helper is no entry"):
            remote(Orders).helper()

    def test_keeps_name_and_documentation_of_the_method(self, carrier):
        assert remote(Orders).place.__name__ == "place"
        assert "orders.place" in remote(Orders).place.__qualname__

    def test_raises_what_the_failure_stands_for(self, carrier, monkeypatch):
        monkeypatch.setattr(carrier, "answers", staticmethod(lambda *_: Left(Failure("not_found", "no 42"))))
        with pytest.raises(NotFound, match="no 42"):
            remote(Orders).place("42")

    def test_raises_a_declared_error_as_its_own_class(self, carrier, monkeypatch):
        failure = Failure("failed_precondition", "42", error_type="OutOfStock", details={"args": ["42"]})
        monkeypatch.setattr(carrier, "answers", staticmethod(lambda *_: Left(failure)))
        with pytest.raises(OutOfStock) as raised:
            remote(Orders).place("42")
        assert raised.value.args == ("42",)

    def test_has_the_signature_that_its_callers_see(self, carrier):
        assert list(inspect.signature(remote(Orders).place).parameters) == ["order_id"]

    @pytest.mark.parametrize("method", ["on_paid", "wipe", "mixed_in"])
    def test_runs_nothing_here_that_cannot_be_called_there(self, carrier, method):
        class Mixin:
            def mixed_in(self):
                return "ran"

        class Stock(Service, Mixin):
            @entry
            def count(self) -> int: ...

            @event("payments", "paid")
            def on_paid(self, order_id: str) -> str:
                return "ran"

            @entry(stage="prod")
            def wipe(self, order_id: str) -> str:
                return "ran"

        proxy = remote(Stock)
        assert proxy.count() == []
        with pytest.raises(DefinitionError, match=rf"Stock\.{method} is no entry"):
            getattr(proxy, method)("42")

    def test_ends_without_the_finalizer_of_the_class(self, carrier):
        ended = []

        class Holder(Service):
            @entry
            def get(self) -> str: ...

            def __del__(self):
                ended.append(self.database)

        remote(Holder)
        gc.collect()
        assert ended == []

    def test_of_a_class_that_nothing_derives_from_cannot_be_made(self, carrier):
        class Kinds(Service):
            def __init_subclass__(cls, *, kind):
                cls.kind = kind

        class Final(Kinds, kind="only"):
            @entry
            def get(self) -> str: ...

        with pytest.raises(DefinitionError, match="no proxy of Final can be made"):
            remote(Final)


class TestRefusedWhenTheProxyIsMade:
    @pytest.mark.parametrize(
        ("interface", "options", "text"),
        [
            (Orders, {"channel": "carier"}, "there is no channel 'carier'; did you mean 'carrier'?"),
            (Orders, {"channel": "carrier", "address": "http://a"}, "no test:// address"),
            (Orders, {}, "nothing says where it is"),
            (Orders, {"channel": "local"}, "'local' needs an app that has the service"),
            (Orders, {"address": 5}, "address must be a URL or a list of them"),
            (Orders, {"selector": "best", "address": "test://a"}, "there is no selector 'best'"),
            (Orders, {"token": "a\nb", "address": "test://a"}, "the token is no printable ASCII text"),
            (Orders, {"token": 5, "address": "test://a"}, "the token is no printable ASCII text"),
            (Orders, {"token": later, "address": "test://a"}, "token is an async function"),
            (Orders, {"selector": lambda: None, "address": "test://a"}, "selector must make an object"),
            (Service, {}, "Service itself is no interface"),
            (int, {}, "an interface is a class derived from Service"),
            (type("Nothing", (Service,), {}), {"address": "test://a"}, "has no entries"),
        ],
    )
    def test_with_a_text_that_names_it(self, carrier, interface, options, text):
        with pytest.raises(ConfigurationError, match=text.replace("?", r"\?")):
            connect(interface, config={}, **options)

    @pytest.mark.parametrize(
        ("clients", "text"),
        [
            (
                {"orders": {"retri": {}}},
                "clients.orders: 'retri' is nothing that a client has; did you mean 'retry'",
            ),
            ({"auth": False}, "'auth' is nothing that a client has"),
            ({"retry": {"atempts": 2}}, "clients.retry: unknown setting 'atempts'; did you mean 'attempts'"),
            ({"orders": {"channel": 5}}, "clients.orders.channel must be text"),
            ({"orders": []}, "clients.orders must be a table"),
            ({"selektor": "first"}, "'selektor' is nothing that a client has; did you mean 'selector'"),
        ],
    )
    def test_also_what_the_configuration_says(self, carrier, clients, text):
        with pytest.raises(ConfigurationError, match=text):
            connect(Orders, address="test://a", channel="carrier", config={"clients": clients})

    @pytest.mark.parametrize(
        "clients", [{"channel": "carrier"}, {"channel": "carrier", "retry": {"attempts": 2}}]
    )
    @pytest.mark.parametrize("name", ["channel", "retry"])
    def test_but_not_a_service_that_is_called_as_a_setting_is(self, carrier, name, clients):
        assert connect(Orders, address="test://a", name=name, config={"clients": clients}).get("42") == ["42"]


class TestALocalService:
    def test_is_preferred(self, carrier):
        app = app_of(GreetingsImpl())
        proxy = ServiceManager(app=app).get_service(Greetings)
        assert proxy.hello("you") == "hello you"
        assert asyncio.run(proxy.ahello("you")) == "hello you, later"
        assert carrier.sent == []

    def test_is_passed_by_where_another_channel_is_asked_for(self, carrier):
        manager = ServiceManager(app=app_of(GreetingsImpl()))
        assert manager.get_service(Greetings, "carrier", address="test://a").hello("you") == ["you"]

    def test_is_called_through_its_whole_pipeline(self):
        seen = []

        def noted(invocation):
            seen.append((invocation.operation, invocation.door))
            return Right(invocation)

        app = app_of(GreetingsImpl(), stages=[noted])
        ServiceManager(app=app).get_service(Greetings).hello("you")
        assert seen == [("greetings.hello", "local")]

    def test_raises_declared_errors_too(self):
        app = app_of(Orders(None))
        with pytest.raises(OutOfStock):
            ServiceManager(app=app).get_service(Orders).place("none")

    def test_has_run_even_if_it_hands_on_that_a_call_of_its_own_was_never_sent(self, carrier, monkeypatch):
        monkeypatch.setattr(carrier, "answers", staticmethod(lambda *_: not_sent("refused")))
        clock = VirtualClock()
        inner, ran = remote(Orders, policies=[Retry(mode="off")], clock=clock), []

        class Shop(Service):
            @entry
            def sell(self) -> Outcome[str]:
                ran.append("sold")
                return Try(lambda: inner.place("42"))

        manager = ServiceManager(app=app_of(Shop(), clock=clock))
        with pytest.raises(Unavailable, match="refused"):
            manager.get_service(Shop).sell()
        assert ran == ["sold"]


class TestWhatTravelsAlong:
    def serve(self, carrier, headers, *, calls=1, **options):
        """Metadata of the calls that an entry makes while it is called with ``headers``."""
        inner = remote(Orders, **options)

        class Front(Service):
            @entry(no_auth=True)
            def post(self) -> None:
                for _ in range(calls):
                    inner.place("42")

        app = app_of(Front(), clock=options.get("clock"))
        answer = app.test_client().post("/", headers=headers)
        assert answer.status_code == 204, answer
        return [invocation for _, _, invocation in carrier.sent]

    def test_the_token_of_the_caller_that_is_served(self, carrier):
        [sent] = self.serve(carrier, {"authorization": "Bearer hers"})
        assert sent.metadata["authorization"] == "Bearer hers"

    def test_not_that_token_where_this_is_switched_off(self, carrier):
        [sent] = self.serve(carrier, {"authorization": "Bearer hers"}, forward_token=False)
        assert "authorization" not in sent.metadata

    def test_rather_a_token_of_ones_own(self, carrier):
        [sent] = self.serve(carrier, {"authorization": "Bearer hers"}, token=lambda: "mine")
        assert sent.metadata["authorization"] == "Bearer mine"

    def test_the_trace(self, carrier):
        parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        [sent] = self.serve(carrier, {"traceparent": parent, "tracestate": "x=1"})
        assert (sent.metadata["traceparent"], sent.metadata["tracestate"]) == (parent, "x=1")

    def test_the_deadline(self, carrier):
        clock = VirtualClock()
        [sent] = self.serve(carrier, {"x-timeout-ms": "3000"}, clock=clock)
        assert sent.deadline == pytest.approx(clock.now() + 3.0)

    def test_keys_that_are_the_same_when_the_call_is_served_again(self, carrier):
        first = [sent.key for sent in self.serve(carrier, {"idempotency-key": "k"}, calls=2)]
        carrier.sent.clear()
        again = [sent.key for sent in self.serve(carrier, {"idempotency-key": "k"}, calls=2)]
        assert first == again
        assert len(set(first)) == 2

    def test_no_trace_state_that_a_header_cannot_carry(self, carrier):
        parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        [sent] = self.serve(carrier, {"traceparent": parent, "tracestate": "x=\xe9"})
        assert sent.metadata["traceparent"] == parent
        assert "tracestate" not in sent.metadata

    @pytest.mark.parametrize("same_id", [True, False])
    def test_the_same_keys_whenever_the_method_runs_again(self, carrier, same_id):
        """As a retry of the server's, and as a function that is called again with the id of its request."""
        sent = self.keys_of_runs(carrier, ["same" if same_id else "one", "same"], attempts=2)
        assert len(sent) == 4
        assert len(set(sent)) == 1

    def keys_of_runs(self, carrier, ids, *, attempts=1, subject="she", operations=("front.put",) * 2):
        inner, runs = remote(Orders), []

        class Front(Service):
            @entry(idempotent=True, retry=Retry(attempts=attempts))
            def put(self) -> None:
                inner.place("42")
                runs.append(1)
                if len(runs) % attempts:
                    raise Unavailable("again")

            @entry(idempotent=True)
            def post(self) -> None:
                inner.place("42")

        app = app_of(Front(), clock=VirtualClock())
        subjects = [subject] if isinstance(subject, str) else subject
        for run_id, operation, who in zip(ids, operations, subjects * 2, strict=False):
            made = Invocation(operation, id=run_id, key="k", principal=Principal(who))
            assert app.run(made).is_right, app.run(made)
        return [invocation.key for _, _, invocation in carrier.sent]

    def test_keys_of_its_own_for_each_caller_and_each_operation(self, carrier):
        """What a key counts for: two of whom each says ``1`` mean two things."""
        callers = self.keys_of_runs(carrier, ["a", "b"], subject=["she", "he"])
        operations = self.keys_of_runs(carrier, ["a", "b"], operations=("front.put", "front.post"))[2:]
        assert len(set(callers)) == len(set(operations)) == 2

    def test_keys_made_up_where_there_is_no_other(self, carrier):
        keys = [sent.key for sent in self.serve(carrier, {}, calls=2)]
        assert len(set(keys)) == 2
        assert all(keys)


class TestTheKeyOfACall:
    def test_is_the_same_for_its_retries(self, carrier, monkeypatch):
        outcomes = [Left(Failure("unavailable")), Left(Failure("unavailable")), Right("done")]
        monkeypatch.setattr(carrier, "answers", staticmethod(lambda *_: outcomes.pop(0)))
        proxy = remote(Orders, clock=VirtualClock())
        assert asyncio.run(proxy.cancel("42")) == "done"
        assert len({invocation.key for _, _, invocation in carrier.sent}) == 1
        assert [invocation.attempt for _, _, invocation in carrier.sent] == [1, 2, 3]

    def test_is_sent_as_the_header_that_servers_read(self, carrier):
        remote(Orders).place("42")
        [(_, _, invocation)] = carrier.sent
        assert invocation.metadata["idempotency-key"] == f'"{invocation.key}"'

    def test_is_left_out_where_nothing_can_be_done_twice(self, carrier):
        remote(Orders).get("42")
        assert carrier.sent[0][2].key is None

    def test_can_be_derived_from_one_that_a_program_chooses(self, carrier):
        proxy = remote(Orders)
        for _ in range(2):
            with idempotency_key("import of today"):
                proxy.place("1")
                proxy.place("2")
        keys = [invocation.key for _, _, invocation in carrier.sent]
        assert keys[:2] == keys[2:]
        assert keys[0] != keys[1]

    @pytest.mark.parametrize("key", ["", " ", None, 5])
    def test_is_derived_from_text_only(self, key):
        with pytest.raises(ValueError, match="an idempotency key is text"), idempotency_key(key):
            pass


class TestPolicies:
    def failing(self, carrier, monkeypatch, code="unavailable"):
        monkeypatch.setattr(carrier, "answers", staticmethod(lambda *_: Left(Failure(code))))

    def test_a_call_that_may_not_be_repeated_is_sent_once(self, carrier, monkeypatch):
        self.failing(carrier, monkeypatch)
        with pytest.raises(Unavailable):
            remote(Orders, clock=VirtualClock()).place("42")
        assert len(carrier.sent) == 1

    def test_one_that_may_is_retried(self, carrier, monkeypatch):
        self.failing(carrier, monkeypatch)
        with pytest.raises(Unavailable):
            remote(Orders, clock=VirtualClock()).get("42")
        assert len(carrier.sent) == 3

    @pytest.mark.parametrize(
        ("clients", "attempts"),
        [
            ({"retry": {"attempts": 2}}, 2),
            ({"orders": {"retry": {"attempts": 5}}, "retry": {"attempts": 2}}, 5),
            ({"orders": {"retry": False}}, 1),
            ({"greetings": {"retry": False}}, 3),
        ],
    )
    def test_the_configuration_has_the_last_word(self, carrier, monkeypatch, clients, attempts):
        self.failing(carrier, monkeypatch)
        manager = ServiceManager(config={"clients": clients}, clock=VirtualClock())
        with pytest.raises(Unavailable):
            manager.get_service(Orders, "carrier", address="test://a").get("42")
        assert len(carrier.sent) == attempts

    def test_the_budget_of_retries_is_that_of_the_service_not_of_a_proxy(self, carrier, monkeypatch):
        self.failing(carrier, monkeypatch)
        retry = Retry(attempts=2, budget=Budget(ratio=0.0, per_second=0.1, ttl=10.0))
        manager = ServiceManager(config={}, clock=VirtualClock(), policies=[retry])
        for _ in range(5):
            with pytest.raises(Unavailable):
                manager.get_service(Orders, "carrier", address="test://a").get("42")
        assert len(carrier.sent) < 10

    def test_a_call_has_a_deadline_although_nobody_gave_one(self, carrier):
        clock = VirtualClock()
        remote(Orders, clock=clock).place("42")
        assert carrier.sent[0][2].deadline == pytest.approx(clock.now() + 10.0)


class TestATokenThatIsObtained:
    class Source:
        def __init__(self, *tokens):
            self.tokens, self.discarded = list(tokens), []

        def token(self):
            return Right(self.tokens[0])

        async def atoken(self):
            return self.token()

        def discard(self, token):
            self.discarded.append(token)
            self.tokens.pop(0)

    @pytest.mark.parametrize("method", ["place", "cancel"])
    def test_is_replaced_once_when_it_is_refused(self, carrier, monkeypatch, method):
        def answers(invocation, _):
            if invocation.metadata["authorization"] == "Bearer new":
                return Right("done")
            return Left(Failure("permission_denied", details={"reason": "expired"}))

        monkeypatch.setattr(carrier, "answers", staticmethod(answers))
        source = self.Source("old", "new", "newer")
        result = getattr(remote(Orders, token=source), method)("42")
        assert (asyncio.run(result) if method == "cancel" else result) == "done"
        assert source.discarded == ["old"]
        assert len(carrier.sent) == 2

    def test_is_kept_where_the_call_is_denied_for_another_reason(self, carrier, monkeypatch):
        monkeypatch.setattr(carrier, "answers", staticmethod(lambda *_: Left(Failure("permission_denied"))))
        source = self.Source("old", "new")
        with pytest.raises(PermissionDenied):
            remote(Orders, token=source).place("42")
        assert source.discarded == []

    def test_that_cannot_be_had_fails_the_call_before_it_is_sent(self, carrier):
        source = self.Source("old")
        source.token = lambda: Left(Failure("unavailable", "no token server"))
        with pytest.raises(Unavailable, match="no token server"):
            remote(Orders, token=source).place("42")
        assert carrier.sent == []


class TestTheEnd:
    def test_of_a_proxy_closes_its_connections(self, carrier):
        disconnect(remote(Orders))
        assert carrier.closed == ["test://a"]

    def test_of_a_proxy_on_a_loop_likewise(self, carrier):
        asyncio.run(adisconnect(remote(Orders)))
        assert carrier.closed == ["test://a"]

    def test_of_one_connection_is_that_of_the_others_even_if_it_cannot_be_closed(
        self, carrier, monkeypatch, caplog
    ):
        manager = ServiceManager(config={})
        for uri in ("test://a", "test://b"):
            manager.get_service(Orders, "carrier", address=uri)
        monkeypatch.setattr(carrier, "close", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            manager.close()
        assert sorted(carrier.closed) == ["test://a", "test://b"]

    def test_is_no_business_of_other_objects(self):
        with pytest.raises(TypeError, match="is no proxy"):
            disconnect(Orders(None))
