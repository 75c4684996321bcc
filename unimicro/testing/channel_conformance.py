"""The conformance kit for channels: a call over a channel comes back as it comes back without one.

A channel is tested by a class of its own that inherits ``ChannelConformance`` and names it::

    class TestMyChannel(ChannelConformance):
        channel = "mine"

The kit's service runs on a real server: ``ServerThread``, unless ``serving`` says another. What a call must
come back as is not written down: the same app is asked without any channel, and the outcomes are compared.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest

from unimicro import errors
from unimicro.channels.client.manager import ServiceManager
from unimicro.functional import Try, atry
from unimicro.invocation import Invocation, current
from unimicro.metadata import Metadata, TraceContext
from unimicro.outcome import CODES, Failure, Outcome, Response, Right, failure_of
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.retry import Retry
from unimicro.service import entry
from unimicro.testing.cases import ECHOES, UNICODE, WRONG
from unimicro.testing.conformance import AUTHORIZED, reference, seen
from unimicro.testing.kit import SECRET, TOKEN, Color, Kit, Line, OutOfStock, Shortage, kit_app
from unimicro.testing.serving import ServerThread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from unimicro.app import App

__all__ = ["ChannelConformance", "Wired"]

K = TypeVar("K", bound=Kit)

SECONDS = 20.0
"""Longest wait of a test."""

MEGABYTE = 1024 * 1024
UNTIL = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC)


class Wider(Kit):
    """An interface with more than the service has."""

    @entry
    def surplus(self) -> str:
        raise NotImplementedError


class Otherwise(Kit):
    """An interface with another result than the service has."""

    @entry
    def integer(self, *, value: int) -> str:  # type: ignore[override] # what is tested
        raise NotImplementedError


class Wired:
    """A service, a server, and proxies of the service over the channel.

    Attributes:
        app: The app that is served.
        address: Of its server.
        manager: Makes the proxies.
    """

    def __init__(self, test: ChannelConformance, app: App, address: str, **options: Any) -> None:
        self.app = app
        self.address = address
        self.manager = test.manager(app, **{"token": f"Bearer {TOKEN}", **options})
        self._test = test
        self.kit = self.proxy(Kit)

    @property
    def service(self) -> Kit:
        """The service itself."""
        return self.app.services[0]  # type: ignore[return-value]

    def proxy(self, interface: type[K]) -> K:
        """A proxy of the service."""
        return self._test.proxy(self.manager, interface, self.address)

    def call(self, method: str, /, *args: Any, **kwargs: Any) -> Outcome[Any]:
        """The outcome of a method of the proxy; an async one runs on a loop of its own."""
        return self.outcome(getattr(self.kit, method), *args, **kwargs)

    def outcome(self, function: Any, *args: Any, **kwargs: Any) -> Outcome[Any]:
        """The same of any function."""
        if not inspect.iscoroutinefunction(function):
            return Try(function, *args, **kwargs)
        outcome: Outcome[Any] = self.run(atry(function, *args, **kwargs))
        return outcome

    def run(self, work: Any) -> Any:
        """Await ``work`` on a loop of its own, on which nothing stays open."""

        async def main() -> Any:
            try:
                return await asyncio.wait_for(work, SECONDS)
            finally:
                await self.manager.aclose()

        return asyncio.run(main())

    def failure(self, method: str, /, *args: Any, **kwargs: Any) -> Failure:
        """The failure of a call that must fail."""
        outcome = self.call(method, *args, **kwargs)
        assert outcome.is_left(), f"expected a failure, got {outcome}"
        return failure_of(outcome)

    def raised(self, method: str, /, *args: Any, **kwargs: Any) -> Exception:
        """What a call that must fail raises."""
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks closely
            self._raising(getattr(self.kit, method), *args, **kwargs)
        return caught.value

    def _raising(self, function: Any, *args: Any, **kwargs: Any) -> None:
        called = function(*args, **kwargs)
        if inspect.isawaitable(called):
            self.run(called)

    def close(self) -> None:
        """End its connections."""
        self.manager.close()


class ChannelConformance:
    """Inherit, say ``channel``, and the channel is tested.

    Attributes:
        channel: Its name.
        settings: Its table of the configuration.
        plugins: Plugins that channel or door come from.
        is_remote: The service is somewhere else: there is a server that can be gone, a token is looked at, a
            body has a size, and nothing but the outcome comes back.
        largest: Settings with which it carries 11 MB both ways.
    """

    channel: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    plugins: ClassVar[tuple[object, ...]] = ()
    is_remote: ClassVar[bool] = True
    largest: ClassVar[Mapping[str, Any]] = {"max_bytes": 12 * MEGABYTE}

    # -- what a channel may do otherwise -------------------------------------------------------

    @classmethod
    def serving(cls, app: App) -> AbstractContextManager[str]:
        """The address of a running server of ``app``."""
        return _on_uvicorn(app)

    def manager(self, app: App, **options: Any) -> ServiceManager:
        """What makes the proxies; ``app`` is the one that is served, for channels inside one process."""
        del app
        table = {**self.settings, **options.pop("settings", {})}
        return ServiceManager(config={"channels": {self.channel: table}}, **options)

    def proxy(self, manager: ServiceManager, interface: type[K], address: str) -> K:
        """A proxy of the kit's service at ``address``."""
        return manager.get_service(interface, self.channel, address=address, name="kit")

    # -- fixtures ------------------------------------------------------------------------------

    @pytest.fixture(scope="class")
    @classmethod
    def served(cls) -> Iterator[tuple[App, str]]:
        """One app and its server for all tests that leave nothing behind."""
        app = kit_app(plugins=cls.plugins)
        with cls.serving(app) as address:
            yield app, address

    @pytest.fixture
    def wired(self, served: tuple[App, str]) -> Iterator[Wired]:
        """Proxies of their own for each test."""
        with self.wired_to(*served) as wired:
            for event in (wired.service.waiting, wired.service.cancelled, wired.service.released):
                event.clear()
            yield wired

    @contextmanager
    def wired_to(self, app: App, address: str, **options: Any) -> Iterator[Wired]:
        """Proxies with further options of the manager."""
        wired = Wired(self, app, address, **options)
        try:
            yield wired
        finally:
            wired.close()

    def only_remote(self) -> None:
        """Skip what means nothing inside one process."""
        if not self.is_remote:
            pytest.skip("the service is in this process")

    # -- values --------------------------------------------------------------------------------

    @pytest.mark.parametrize(("method", "kwargs", "_"), ECHOES)
    def test_a_value_of_every_type_arrives_and_comes_back_with_its_type(
        self, wired: Wired, method: str, kwargs: dict[str, Any], _: Any
    ) -> None:
        assert_same(
            wired.call(method, **typed(wired.app, method, kwargs)), expected(wired.app, method, kwargs)
        )

    def test_bytes_come_back(self, wired: Wired) -> None:
        assert wired.call("binary") == Right(b"\x00\xff\xfe")
        assert wired.call("octets", b"\x00\xff") == Right(b"\x00\xff")

    def test_arguments_may_be_given_by_their_place(self, wired: Wired) -> None:
        assert wired.call("get_sum", 40) == Right(42)
        assert wired.call("get_sum", 40, 3) == Right(43)
        assert wired.call("get_sum", 40, right=4) == Right(44)

    # -- failures ------------------------------------------------------------------------------

    @pytest.mark.parametrize("code", list(CODES))
    def test_every_code_arrives_with_its_text_details_and_status(self, wired: Wired, code: str) -> None:
        assert wired.failure("fail", code=code) == failure_of(reference(wired.app, "fail", {"code": code}))

    @pytest.mark.parametrize("code", list(CODES))
    def test_every_code_raises_its_class(self, wired: Wired, code: str) -> None:
        error = wired.raised("fail", code=code)
        assert isinstance(error, errors.ServiceError)
        assert type(error).code == code
        assert (str(error), error.details, error.retry_after) == (f"as asked: {code}", {"asked": code}, 2.0)

    def test_a_declared_error_is_raised_as_the_same_class(self, wired: Wired) -> None:
        error = wired.raised("declared", sku="x-1")
        assert type(error) is OutOfStock
        assert error.args == ("x-1", 3)

    def test_a_declared_error_keeps_its_attributes_with_their_types(self, wired: Wired) -> None:
        error = wired.raised("short", sku=UNICODE, wanted=Line("x", 2), until=UNTIL)
        assert error == Shortage(UNICODE, Line("x", 2), UNTIL, Color.BLUE)
        assert type(error) is Shortage

    def test_a_declared_error_is_the_same_failure(self, wired: Wired) -> None:
        kwargs = {"sku": "x", "wanted": {"sku": "x"}, "until": "2026-02-03T04:05:06Z"}
        failure = wired.failure("short", **typed(wired.app, "short", kwargs))
        assert failure == failure_of(reference(wired.app, "short", kwargs))

    def test_text_that_is_no_unicode_does_not_hide_the_failure(self, wired: Wired) -> None:
        failure = wired.failure("unprintable")
        assert failure.code == "not_found"
        assert failure.message in ("no \\ud800 here", "no \ud800 here")

    def test_a_returned_error_status_is_a_failure(self, wired: Wired) -> None:
        failure = wired.failure("gone")
        assert failure.status == 410 or (failure.code, self.channel) == ("unknown", "rest")

    @pytest.mark.parametrize(("method", "kwargs", "names"), WRONG)
    def test_wrong_arguments_are_refused_and_each_is_named(
        self, wired: Wired, method: str, kwargs: dict[str, Any], names: list[str]
    ) -> None:
        failure = wired.failure(method, **kwargs)
        assert (failure.code, failure.status, failure.layer) == ("invalid_argument", 422, "arguments")
        assert sorted(error["name"] for error in failure.errors) == sorted(names)

    @pytest.mark.parametrize("value", [object(), "\ud800"])
    def test_an_argument_that_cannot_be_sent_is_refused_as_one_that_does_not_fit(
        self, wired: Wired, value: Any
    ) -> None:
        self.only_remote()
        failure = wired.failure("text", value=value)
        assert (failure.code, failure.status, failure.layer) == ("invalid_argument", 422, "arguments")
        assert [error["message"].startswith("cannot be sent: ") for error in failure.errors] == [True]

    def test_a_result_of_another_type_is_refused(self, wired: Wired) -> None:
        self.only_remote()
        failure = failure_of(wired.outcome(wired.proxy(Otherwise).integer, value=1))
        assert failure == never_again("the answer has another result than declared: expected str, got int")

    @pytest.mark.parametrize("method", ["crash", "crash_async", "crash_cancelled", "unencodable"])
    def test_an_unexpected_exception_is_internal_and_its_text_stays_inside(
        self, wired: Wired, method: str
    ) -> None:
        if method == "unencodable":
            self.only_remote()
        failure = wired.failure(method)
        assert (failure.code, failure.message) == ("internal", "internal error")
        assert SECRET not in str(wired.raised(method)) + seen(failure.to_problem())

    def test_an_unknown_operation_is_unimplemented(self, wired: Wired) -> None:
        assert failure_of(wired.outcome(wired.proxy(Wider).surplus)).code == "unimplemented"

    def test_what_a_proxy_raises_gives_the_failure_back(self, wired: Wired) -> None:
        error: Any = wired.raised("declared", sku="x")
        assert error.failure == wired.failure("declared", sku="x")

    # -- tokens --------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("token", "kind"),
        [
            (None, errors.TokenMissing),
            ("Bearer wrong", errors.TokenInvalid),
            ("elsewhere", errors.TokenInvalid),
            ("raise", errors.PermissionDenied),
        ],
    )
    @pytest.mark.parametrize("method", ["count", "nothing", "number"])
    def test_a_caller_without_a_good_token_is_refused(
        self, served: tuple[App, str], token: str | None, kind: type[Exception], method: str
    ) -> None:
        self.only_remote()
        with self.wired_to(*served, token=token) as wired:
            before = wired.service.calls
            error = wired.raised(method, **({"value": 1.0} if method == "number" else {}))
            assert isinstance(error, kind)
            assert SECRET not in str(error)
            assert wired.service.calls == before

    def test_a_token_that_has_expired_is_told_apart(self, wired: Wired) -> None:
        self.only_remote()
        assert isinstance(wired.raised("outdated"), errors.TokenExpired)

    def test_an_open_entry_needs_no_token(self, served: tuple[App, str]) -> None:
        with self.wired_to(*served, token=None) as wired:
            assert wired.call("open") == Right({"operation": "kit.open", "attempt": 1})

    # -- what travels along --------------------------------------------------------------------

    def test_the_trace_and_the_token_of_the_caller_go_on(self, served: tuple[App, str]) -> None:
        trace = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "01", "a=1,b=2")
        serves = Invocation("test.caller", metadata=Metadata(AUTHORIZED), trace=trace)
        with self.wired_to(*served, token=None) as wired, serving_now(serves):
            found = wired.call("seen").value
        assert (found["trace"], found["state"]) == (trace.trace_id, trace.state)

    @pytest.mark.parametrize("token", [f"Bearer {SECRET}\nx-other: 1", f"Bearer {SECRET}\ud800"])
    def test_a_token_of_the_caller_that_no_header_can_carry_is_refused_and_not_shown(
        self, served: tuple[App, str], token: str
    ) -> None:
        self.only_remote()
        serves = Invocation("test.caller", metadata=Metadata({"authorization": token}))
        with self.wired_to(*served, token=None) as wired, serving_now(serves):
            failure = wired.failure("integer", value=1)
        assert (failure.code, failure.status, failure.layer) == ("invalid_argument", 422, "arguments")
        assert [error["name"] for error in failure.errors] == ["authorization"]
        assert SECRET not in seen(failure.to_problem())

    def test_the_deadline_goes_along(self, served: tuple[App, str]) -> None:
        with self.wired_to(*served, policies=[Deadline(5.0)]) as wired:
            assert wired.call("seen").value["limited"] is True

    def test_every_call_that_changes_something_has_a_key_of_its_own(self, wired: Wired) -> None:
        keys = [wired.call("seen").value["key"] for _ in range(2)]
        assert all(keys)
        assert keys[0] != keys[1]

    def test_the_key_is_kept_over_retries(self, served: tuple[App, str]) -> None:
        with self.wired_to(*served, policies=[Retry(attempts=3, base=0.001)]) as wired:
            wired.service.keys.clear()
            keys = wired.call("flaky", failures=2).value
            others = wired.call("flaky", failures=0).value
        assert len(keys) == 3
        assert len({*keys}) == 1
        assert keys[0]
        assert others[0] not in keys

    # -- time ----------------------------------------------------------------------------------

    @pytest.mark.parametrize("method", ["slow", "slow_async"])
    def test_a_call_that_takes_too_long_is_given_up(self, served: tuple[App, str], method: str) -> None:
        """By the service: its own clock runs ahead, the caller's does not."""
        with self.wired_to(*served, policies=[Deadline(1.0)]) as wired:
            assert isinstance(wired.raised(method), errors.DeadlineExceeded)

    @pytest.mark.parametrize("method", ["slow", "slow_async"])
    def test_a_call_within_its_deadline_succeeds(self, served: tuple[App, str], method: str) -> None:
        with self.wired_to(*served, policies=[Deadline(SECONDS)]) as wired:
            assert wired.call(method) == Right("late")

    def test_a_caller_whose_deadline_has_passed_does_not_wait_on(self, served: tuple[App, str]) -> None:
        self.only_remote()
        with self.wired_to(*served, policies=[Deadline(0.3)]) as wired:
            wired.service.waiting.clear()
            began = time.monotonic()
            assert isinstance(wired.raised("wait"), errors.DeadlineExceeded)
            assert time.monotonic() - began < SECONDS / 2
            wired.service.released.clear()
            assert isinstance(wired.raised("hold"), errors.DeadlineExceeded)
            wired.service.released.set()
            assert wired.call("integer", value=1) == Right(1)

    def test_a_call_that_is_cancelled_is_cancelled_at_the_service(self, wired: Wired) -> None:
        async def cancelled() -> float:
            task = asyncio.create_task(wired.kit.wait())
            await _until_set(wired.service.waiting)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await _until_set(wired.service.cancelled)
            return await wired.kit.number(value=1.5)

        assert wired.run(cancelled()) == 1.5

    def test_a_call_that_is_cancelled_does_no_harm_to_others(self, wired: Wired) -> None:
        async def some_cancelled() -> list[Any]:
            calls = [asyncio.create_task(wired.kit.number(value=float(n))) for n in range(64)]
            await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            return await asyncio.gather(*calls, return_exceptions=True)

        found = wired.run(some_cancelled())
        assert found[1::2] == [float(n) for n in range(1, 64, 2)]
        cancelled = [each for each in found[::2] if isinstance(each, asyncio.CancelledError)]
        assert len(cancelled) == 32 or not self.is_remote  # a call in this process may have ended

    # -- many at once --------------------------------------------------------------------------

    def test_concurrent_callers_get_their_own_answers(self, wired: Wired) -> None:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda n: wired.kit.integer(value=n), range(64), timeout=SECONDS))
        assert found == list(range(64))

    def test_concurrent_tasks_get_their_own_answers(self, wired: Wired) -> None:
        async def many() -> list[float]:
            return await asyncio.gather(*(wired.kit.number(value=float(n)) for n in range(100)))

        assert wired.run(many()) == [float(n) for n in range(100)]

    def test_several_event_loops_call_at_once(self, wired: Wired) -> None:
        together = threading.Barrier(3, timeout=SECONDS)

        async def some(first: int) -> list[float]:
            await wired.kit.number(value=0.0)
            together.wait()
            return [await wired.kit.number(value=float(n)) for n in range(first, first + 20)]

        with ThreadPoolExecutor(3) as threads:
            found = list(threads.map(lambda n: wired.run(some(n)), (0, 100, 200), timeout=SECONDS))
        assert found == [[float(n) for n in range(first, first + 20)] for first in (0, 100, 200)]

    def test_loops_and_threads_by_turns(self, wired: Wired) -> None:
        for n in range(3):
            assert wired.call("number", value=float(n)) == Right(float(n))
            assert wired.call("integer", value=n) == Right(n)

    # -- sizes ---------------------------------------------------------------------------------

    def test_a_large_value_is_carried(self, wired: Wired) -> None:
        value = "ä€🦆" * 100_000
        assert wired.call("text", value=value) == Right(value)

    def test_ten_megabytes_are_carried_where_the_limits_allow_them(self) -> None:
        app = kit_app({"max_body_bytes": 12 * MEGABYTE}, self.plugins)
        value = "x" * (10 * MEGABYTE)
        with self.serving(app) as address, self.wired_to(app, address, settings=self.largest) as wired:
            assert wired.call("text", value=value) == Right(value)
            assert wired.call("tree", **typed(app, "tree", {"value": {"name": value}})).value.name == value

    def test_arguments_above_the_limit_are_refused(self) -> None:
        self.only_remote()
        app = kit_app({"max_body_bytes": 10_000}, self.plugins)
        with self.serving(app) as address, self.wired_to(app, address) as wired:
            for size in (20_000, 10 * MEGABYTE):
                failure = wired.failure("text", value="x" * size)
                assert failure.status == 413, failure
            assert wired.call("text", value="x" * 9_000).is_right()

    def test_a_result_above_the_limit_is_refused(self, served: tuple[App, str]) -> None:
        self.only_remote()
        with self.wired_to(*served, settings={"max_bytes": 10_000}) as wired:
            failure = wired.failure("text", value="x" * 20_000)
            assert failure == never_again("the answer is longer than 10000 bytes")
            assert wired.call("text", value="x" * 9_000).is_right()

    # -- servers come and go -------------------------------------------------------------------

    def test_a_server_that_is_gone_is_told_and_found_again(self) -> None:
        self.only_remote()
        app = kit_app(plugins=self.plugins)
        with ServerThread(app) as server, self.wired_to(app, server.address) as wired:
            assert wired.call("integer", value=1) == Right(1)
            server.stop(at_once=True)
            for method, value in (("integer", 1), ("number", 1.0)):
                error = wired.raised(method, value=value)
                assert isinstance(error, errors.CommunicationError), error
            again = kit_app(plugins=self.plugins)
            with ServerThread(again, server.port):
                assert wired.call("integer", value=2) == Right(2)
                assert wired.call("number", value=2.0) == Right(2.0)

    def test_an_address_where_nobody_is_is_told(self, served: tuple[App, str]) -> None:
        self.only_remote()
        with self.wired_to(served[0], "http://127.0.0.1:1") as wired:
            error = wired.raised("integer", value=1)
            assert isinstance(error, errors.CommunicationError)
            assert isinstance(error, errors.Unavailable)

    # -- logs ----------------------------------------------------------------------------------

    def test_no_log_shows_a_token_or_an_argument(
        self, served: tuple[App, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        hidden = "h1dd3n"
        with caplog.at_level(logging.DEBUG):
            for token in (f"Bearer {TOKEN}", hidden):
                with self.wired_to(*served, token=token) as wired:
                    wired.call("text", value=hidden)
                    wired.call("declared", sku=hidden)
                    wired.call("integer", value=hidden)
        assert hidden not in caplog.text


@contextmanager
def _on_uvicorn(app: App) -> Iterator[str]:
    with ServerThread(app) as server:
        yield server.address


@contextmanager
def serving_now(invocation: Invocation) -> Iterator[None]:
    """As if the code inside served ``invocation``."""
    token = current.set(invocation)
    try:
        yield
    finally:
        current.reset(token)


async def _until_set(event: threading.Event) -> None:
    limit = time.monotonic() + SECONDS
    while not event.is_set():
        assert time.monotonic() < limit, "nothing happened at the service"
        await asyncio.sleep(0.005)


def never_again(message: str) -> Failure:
    """The failure of an answer that a repetition would bring again."""
    return Failure("internal", message, layer="channel", details={"retry": False})


def typed(app: App, method: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data as the objects that the method takes."""
    parameters = {p.name: p for p in app.operations[f"kit.{method}"].signature.parameters}
    return {
        name: parameters[name].from_value(value) if name in parameters else value
        for name, value in kwargs.items()
    }


def expected(app: App, method: str, kwargs: dict[str, Any]) -> Outcome[Any]:
    """The outcome without any channel between, as a proxy has it: a result without its status."""
    outcome = reference(app, method, kwargs)
    if outcome.is_right() and isinstance(outcome.value, Response):
        return Right(outcome.value.body)
    return outcome


def assert_same(found: Outcome[Any], wanted: Outcome[Any]) -> None:
    """Equal, and of the same types all the way down."""
    assert found == wanted
    if wanted.is_right():
        assert types_in(found.value) == types_in(wanted.value)


def types_in(value: Any) -> Any:
    """The types of a value and of everything in it."""
    kind = type(value)
    if isinstance(value, dict):
        return kind, {name: types_in(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return kind, [types_in(inner) for inner in value]
    fields = getattr(kind, "__dataclass_fields__", {})
    return (kind, {name: types_in(getattr(value, name)) for name in fields}) if fields else kind
