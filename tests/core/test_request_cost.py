"""Everything is decided at assembly: no hook, no inspection, no entry-point scan serves a request."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from unimicro import App, Breaker, Deadline, Invocation, Retry, Right, Service, entry, hookimpl


class Guarding:
    @hookimpl
    def unimicro_register_stages(self, operation, register):
        register("watch", Right)


class Busy(Service):
    def token_authorizer(self, token):
        return True

    @entry(safe=True, retry=Retry(), breaker=Breaker(), deadline=Deadline(30))
    def get_item(self, item: int, *, size: int = 0, **rest: Any) -> dict[str, int]:
        return {"item": item, "size": size}

    @entry(safe=True, retry=Retry(), breaker=Breaker(), deadline=Deadline(30))
    async def post_item(self, item: int, invocation: Invocation, note: str = "") -> list[str]:
        return [note]

    @entry(no_auth=True)
    def get_broken(self):
        raise RuntimeError("broken")


WATCHED = ("pluggy", "inspect", "importlib.metadata", "importlib", "hypothesis.internal.reflection")


def calls_during(work: Any) -> dict[str, list[str]]:
    """Module → functions of it that ran during ``work``, in this thread."""
    found: dict[str, list[str]] = {}

    def profile(frame, event, argument):
        if event == "call":
            module = frame.f_globals.get("__name__", "").partition(".")[0]
            name = frame.f_globals.get("__name__", "")
            if module == "pluggy" or name in WATCHED or name.startswith("importlib.metadata"):
                found.setdefault(name, []).append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


@pytest.fixture(scope="module")
def app():
    return App(Busy(), plugins=[Guarding()])


def requests_of(app: App) -> list[Any]:
    client = app.test_client()
    token = {"Authorization": "x"}
    return [
        lambda: app.call("busy.get_item", 5, size=1, other=2).value["item"],
        lambda: client.get("/item/5?size=3&more=1", headers=token).json["item"],
        lambda: client.post("/item/5", json={"note": "n"}, headers=token).json,
        lambda: client.get("/item/five", headers=token).json["errors"],
        lambda: client.get("/item/5").json["code"],
        lambda: client.get("/nowhere").json["code"],
        lambda: client.options("/item/5").headers["allow"],
        lambda: client.head("/item/5", headers=token).status_code,
    ]


@pytest.mark.parametrize("number", range(8))
def test_a_request_calls_neither_pluggy_nor_inspect_nor_importlib(app, number):
    request = requests_of(app)[number]
    assert request()
    assert calls_during(request) == {}


def test_an_async_call_does_neither(app):
    async def twice():
        await app.acall("busy.post_item", 5, note="a")
        loop_calls: dict[str, list[str]] = {}

        async def one():
            await app.acall("busy.post_item", 5, note="b")

        coroutine = one()

        def drive():
            try:
                coroutine.send(None)
            except StopIteration:
                return

        loop_calls.update(calls_during(drive))
        assert coroutine.cr_frame is None, "the call waited for something"
        return loop_calls

    assert asyncio.run(twice()) == {}


def test_the_watch_sees_what_it_watches_for():
    import inspect
    from importlib.metadata import entry_points

    found = calls_during(
        lambda: (
            inspect.signature(calls_during),
            entry_points(group="unimicro"),
            App(Busy(), plugins=[Guarding()]),
        )
    )
    assert {"inspect", "importlib.metadata", "pluggy._manager"} <= found.keys()
