"""The cache: what is answered without a call, to whom, and for how long."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from tests.core.helpers import failure
from unimicro import App, Cache, Invocation, Principal, Response, Service, VirtualClock, entry
from unimicro.errors import ConfigurationError, DefinitionError, NotFound, Unavailable
from unimicro.invocation import CallPayload

ALICE, BOB = Principal("alice"), Principal("bob", scopes=("all",))


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """``ask(app, principal=..., **arguments)`` → outcome of ``catalog.get``."""

    def invocation(principal: Any = ALICE, **arguments: Any) -> Invocation:
        return Invocation("catalog.get", CallPayload((), arguments), principal=principal, id="test")

    def sync_ask(app: App, *args: Any, **arguments: Any) -> Any:
        return app.run(invocation(*args, **arguments))

    def async_ask(app: App, *args: Any, **arguments: Any) -> Any:
        return asyncio.run(asyncio.wait_for(app.arun(invocation(*args, **arguments)), 20))

    return sync_ask if request.param == "sync" else async_ask


class Catalog(Service):
    """Answers with the number of the call, or with what ``answers`` say; raises what is raised."""

    def __init__(self, policy: Cache, *answers: Any, **options: Any) -> None:
        super().__init__()
        self.calls = 0
        self.answers = list(answers)

        def get(self, *, article: Any = "tea", size: int = 1):
            self.calls += 1
            answer = self.answers.pop(0) if self.answers else self.calls
            if isinstance(answer, Exception):
                raise answer
            return answer

        decorated = entry(no_auth=True, safe=True, cache=policy, **options)(get)
        self.__class__ = type("Catalog", (Catalog,), {"get": decorated})


def catalog(*answers: Any, **settings: Any) -> tuple[Catalog, App, VirtualClock]:
    service, clock = Catalog(Cache(**settings), *answers), VirtualClock()
    return service, App(service, clock=clock), clock


def test_a_second_call_is_answered_as_the_first(ask):
    service, app, _ = catalog()
    assert [ask(app).value for _ in range(3)] == [1, 1, 1]
    assert service.calls == 1


def test_other_arguments_are_another_answer(ask):
    _, app, _ = catalog()
    assert [ask(app, article=article).value for article in ("tea", "milk", "tea", "1", 1)] == [1, 2, 1, 3, 4]
    assert ask(app, article="tea", size=2).value == 5
    assert ask(app, size=2, article="tea").value == 5


def test_an_answer_is_forgotten_after_its_time(ask):
    _, app, clock = catalog(ttl=10.0)
    assert ask(app).value == 1
    clock.advance(9.9)
    assert ask(app).value == 1
    clock.advance(0.1)
    assert ask(app).value == 2


def test_answers_are_one_principals(ask):
    _, app, _ = catalog()
    assert [ask(app, principal).value for principal in (ALICE, BOB, None, ALICE, BOB, None)] == [1, 2, 3] * 2


def test_a_subject_of_another_issuer_is_another_principal(ask):
    _service, app, _clock = catalog()
    for number, issuer in enumerate(("https://one.example", "https://two.example"), 1):
        principal = Principal("alice", claims={"iss": issuer})
        assert [ask(app, principal).value for _ in range(2)] == [number] * 2


def test_answers_may_be_shared(ask):
    _, app, _ = catalog(shared=True)
    assert [ask(app, principal).value for principal in (ALICE, BOB, None)] == [1, 1, 1]


def test_the_cache_does_not_open_a_protected_entry():
    class Vault(Service):
        @entry(safe=True, cache=Cache(shared=True))
        def get(self):
            return "gold"

        def token_authorizer(self, token: str) -> bool:
            return token == "good"

    client = App(Vault()).test_client()
    statuses = [client.get("/", headers={"authorization": token}).status_code for token in ("good", "bad")]
    assert statuses == [200, 403]


def test_failures_are_not_kept(ask):
    _service, app, _ = catalog(NotFound("gone"), Unavailable("busy"), "there")
    assert [failure(ask(app)).code for _ in range(2)] == ["not_found", "unavailable"]
    assert ask(app).value == "there"


def test_the_least_recently_used_answer_goes_first(ask):
    service, app, _ = catalog(max_entries=2)
    for article in ("a", "b", "a", "c"):
        ask(app, article=article)
    assert service.calls == 3
    assert ask(app, article="a").value == 1
    assert ask(app, article="b").value == 4


def test_nobody_can_change_what_another_caller_gets(ask):
    service, app, _ = catalog({"items": [1]})
    for _ in range(3):
        answer = ask(app).value
        assert answer == {"items": [1]}
        answer["items"].append(2)
    assert service.calls == 1


@dataclass
class Article:
    name: str


def test_an_answer_keeps_its_class(ask):
    class Typed(Service):
        name = "catalog"

        @entry(no_auth=True, safe=True, cache=Cache())
        def get(self) -> list[Article]:
            return [Article("tea")]

    app = App(Typed(), clock=VirtualClock())
    assert [ask(app).value for _ in range(2)] == [[Article("tea")]] * 2


def test_a_stale_answer_stands_in_for_a_failure_that_may_pass(ask):
    _, app, clock = catalog(
        "old", Unavailable("busy"), Unavailable("busy"), "new", ttl=10.0, stale_if_error=5.0
    )
    assert ask(app).value == "old"
    clock.advance(14.9)
    assert ask(app).value == "old"
    clock.advance(0.1)
    assert failure(ask(app)).code == "unavailable"
    assert ask(app).value == "new"


def test_a_stale_answer_does_not_outlive_a_permanent_failure(ask):
    _, app, clock = catalog("old", NotFound("gone"), Unavailable("busy"), ttl=10.0, stale_if_error=50.0)
    ask(app)
    clock.advance(11)
    assert failure(ask(app)).code == "not_found"
    assert failure(ask(app)).code == "unavailable"


@pytest.mark.parametrize("headers", [{"Set-Cookie": "a=b"}, [("X-A", "1"), ("set-cookie", "a=b")]])
def test_an_answer_with_a_cookie_is_not_kept(ask, headers):
    _service, app, _ = catalog(Response("one", 200, headers), Response("two", 200, {"X-A": "1"}))
    assert [ask(app).value.body for _ in range(3)] == ["one", "two", "two"]


def test_what_cannot_be_kept_is_answered_and_told_once(ask, caplog):
    _, app, _ = catalog("x" * 100, "y" * 100, max_bytes=50)
    assert [ask(app).value[0] for _ in range(2)] == ["x", "y"]
    assert caplog.text.count("is not cached") == 1


def test_arguments_that_cannot_be_compared_are_not_cached(ask):
    _, app, _ = catalog()
    odd = object()
    assert [ask(app, article=odd).value for _ in range(2)] == [1, 2]


def test_calls_in_other_threads_do_not_wait_for_one_another():
    began, go = threading.Event(), threading.Event()

    class Slow(Service):
        @entry(no_auth=True, safe=True, cache=Cache())
        def get(self, *, article: str):
            if article == "slow":
                began.set()
                assert go.wait(20)
            return article

    app = App(Slow(), clock=VirtualClock())
    thread = threading.Thread(target=lambda: app.call("slow.get", article="slow"))
    thread.start()
    assert began.wait(20)
    assert app.call("slow.get", article="quick").value == "quick"
    go.set()
    thread.join(20)


class Mixed(Service):
    @entry(no_auth=True, safe=True)
    def get(self): ...

    @entry(no_auth=True)
    def post(self): ...


def test_only_a_safe_entry_has_a_cache():
    with pytest.raises(DefinitionError, match="safe=True"):
        entry(no_auth=True, idempotent=True, cache=Cache())(lambda self: None)
    with pytest.raises(DefinitionError, match="safe=True"):
        App(Mixed(), config={"entries": {"mixed.post": {"cache": True}}})


def test_a_cache_given_to_all_leaves_out_what_is_not_safe():
    app = App(Mixed(), policies=[Cache()])
    assert "cache" in [stage.name for stage in app.stages_of("mixed.get")]
    assert "cache" not in [stage.name for stage in app.stages_of("mixed.post")]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"ttl": 0}, "Cache.ttl"),
        ({"max_entries": 0}, "Cache.max_entries"),
        ({"max_bytes": 1.5}, "Cache.max_bytes"),
        ({"stale_if_error": -1}, "Cache.stale_if_error"),
        ({"shared": "no"}, "Cache.shared"),
    ],
)
def test_impossible_settings_are_refused(settings, named):
    with pytest.raises(DefinitionError, match=named):
        Cache(**settings)
    with pytest.raises(ConfigurationError, match=named):
        App(Catalog(Cache()), config={"entries": {"catalog.get": {"cache": settings}}})
