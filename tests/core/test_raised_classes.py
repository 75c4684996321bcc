"""What a failed call raises: the class of its code, or a closer one; its failure is never lost."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from unimicro import App, Failure, Left, Right, Service, entry
from unimicro.errors import (
    CommunicationError,
    DeadlineExceeded,
    Internal,
    PermissionDenied,
    RemoteError,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
    exception_of,
    unwrap,
)
from unimicro.functional import Try, atry
from unimicro.outcome import CODES
from unimicro.pipeline.api_key import ApiKey


class OutOfStock(Exception):
    pass


def of(code: str, reason: str | None = None, layer: str = "channel") -> Exception:
    details = None if reason is None else {"reason": reason}
    return exception_of(Failure(code, "text", layer=layer, details=details))


@pytest.mark.parametrize(
    ("code", "reason", "layer", "kind"),
    [
        ("unavailable", None, "channel", CommunicationError),
        ("unavailable", None, "", Unavailable),
        ("unavailable", None, "breaker", Unavailable),
        ("unknown", None, "channel", RemoteError),
        ("unknown", None, "", Unknown),
        ("unauthenticated", None, "auth", TokenMissing),
        ("unauthenticated", "missing", "channel", TokenMissing),
        ("permission_denied", "expired", "auth", TokenExpired),
        ("permission_denied", "invalid", "auth", TokenInvalid),
        ("permission_denied", None, "auth", PermissionDenied),
        ("permission_denied", "missing", "auth", PermissionDenied),
        ("unauthenticated", "odd", "channel", Unauthenticated),
        ("permission_denied", "expired", "", PermissionDenied),
        ("permission_denied", "invalid", "activities", PermissionDenied),
        ("unauthenticated", None, "", Unauthenticated),
        ("deadline_exceeded", None, "channel", DeadlineExceeded),
        ("unimplemented", None, "channel", Unimplemented),
        ("internal", None, "channel", Internal),
    ],
)
def test_the_class_is_chosen_by_code_layer_and_reason(code, reason, layer, kind):
    assert type(of(code, reason, layer)) is kind


@pytest.mark.parametrize(("reason", "kind"), [("expired", TokenExpired), ("invalid", TokenInvalid)])
def test_a_refused_token_is_caught_by_reason_and_by_code(reason, kind):
    denied, unauthenticated = of("permission_denied", reason, "auth"), of("unauthenticated", reason)
    for error in (denied, unauthenticated):
        assert isinstance(error, kind)
        assert isinstance(error, PermissionDenied)
    assert isinstance(unauthenticated, Unauthenticated)
    assert not isinstance(denied, Unauthenticated)
    assert (denied.code, unauthenticated.code) == ("permission_denied", "unauthenticated")
    assert type(pickle.loads(pickle.dumps(unauthenticated))) is type(unauthenticated)


@pytest.mark.parametrize("reason", [5, None, ["expired"], {"expired": 1}])
def test_a_reason_that_is_no_text_is_none(reason):
    error = exception_of(Failure("permission_denied", "x", layer="auth", details={"reason": reason}))
    assert type(error) is PermissionDenied


@pytest.mark.parametrize("layer", ["", "channel", "auth", "breaker"])
@pytest.mark.parametrize("code", list(CODES))
def test_try_gives_back_exactly_the_failure_that_was_raised(code, layer):
    failure = Failure(code, "text", details={"a": 1}, retry_after=2.5, layer=layer, status=418, policy="p")

    def call() -> None:
        unwrap(Left(failure))

    async def acall() -> None:
        unwrap(Left(failure))

    assert Try(call).monoid[0] is failure
    assert asyncio.run(atry(acall)).monoid[0] is failure


@pytest.mark.parametrize("errors", [[], [OutOfStock]])
def test_try_gives_back_the_failure_of_a_declared_error(errors):
    failure = Failure("aborted", "text", error_type="OutOfStock", details={"args": ["tea"]})

    def call() -> None:
        unwrap(Left(failure), [OutOfStock])

    found = Try(call, errors=errors) if errors else Try(call)
    assert found.monoid[0] is failure


def test_try_of_an_error_of_ones_own_is_as_ever():
    def call() -> None:
        raise Unavailable("busy", retry_after=3)

    assert Try(call) == Left(Failure("unavailable", "busy", retry_after=3))
    assert Try(lambda: 5) == Right(5)


def test_the_failure_of_a_call_that_an_entry_makes_is_told_to_its_caller_as_its_own():
    """Which stage of another service refused is not the caller's business."""

    class Front(Service):
        @entry(no_auth=True)
        def get(self) -> None:
            unwrap(Left(Failure("permission_denied", "no", layer="auth", details={"reason": "expired"})))

    failure = App(Front()).call("front.get").monoid[0]
    assert (failure.code, failure.message, failure.layer) == ("permission_denied", "no", "")


def test_an_authorizer_says_why_it_refuses_a_token():
    class Guarded(Service):
        @entry
        def get(self) -> None: ...

        @entry(auth=ApiKey(keys={"shop": "k"}))
        def get_keyed(self) -> None: ...

    client = App(Guarded()).test_client()
    kinds = {
        ("/", None): TokenMissing,
        ("/", "wrong"): TokenInvalid,
        ("/keyed", None): TokenMissing,
    }
    for (path, token), kind in kinds.items():
        problem = client.get(path, headers={"Authorization": token} if token else {}).json
        assert type(exception_of(Failure.from_problem(problem))) is kind
