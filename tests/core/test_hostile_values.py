"""Whatever comes in or out, an answer is given: no exception leaves an app."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.helpers import code_of
from unimicro import App, Service, entry
from unimicro.conversion import ConversionError, converter
from unimicro.wire import to_json, to_plain

CASES = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


class Hostile(Service):
    def __init__(self, result: Any = None) -> None:
        super().__init__()
        self.result = result

    @entry(no_auth=True)
    def post(self, number: int = 0, text: str = "", share: float = 0.0, rest: Any = None) -> list[Any]:
        return [number, text, share, rest]

    @entry(no_auth=True)
    def get_text(self, value: str) -> str:
        return value

    @entry(no_auth=True)
    def get_result(self):
        return self.result

    @entry(no_auth=True)
    def post_echo(self, **rest: Any) -> dict:
        return rest


app = App(Hostile())
client = app.test_client()


class NoText:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def looped() -> list:
    inner: list = []
    inner.append(inner)
    return inner


def deep() -> list:
    inner: list = []
    for _ in range(100_000):
        inner = [inner]
    return inner


@pytest.mark.parametrize("surrogate", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_in_a_request_is_400(surrogate):
    requests = [
        client.post("/", json={"text": surrogate}),
        client.post("/", json={surrogate: 1}),
        client.post("/", data={"text": surrogate}),
        client.post("/?x=" + surrogate),
        client.post("/", query={"x": surrogate}),
        client.get("/text/" + surrogate),
        client.post("/", data='{"text": "' + surrogate + '"}'),
    ]
    assert [code_of(answer) for answer in requests] == [(400, "invalid_argument")] * len(requests)


@pytest.mark.parametrize(
    "result",
    ["\ud800", {"\ud800": 1}, ["\ud800"], object(), NoText(), {1, NoText()}, looped(), deep()],
    ids=range(8),
)
def test_a_result_that_cannot_be_encoded_is_internal_and_logged_once(result, caplog):
    answer = App(Hostile(result)).test_client().get("/result")
    assert code_of(answer) == (500, "internal")
    assert len(caplog.records) == 1
    assert "hostile.get_result" in caplog.text


def test_a_result_that_cannot_be_encoded_is_no_matter_in_process():
    assert App(Hostile("\ud800")).call("hostile.get_result").value == "\ud800"


@pytest.mark.parametrize(
    "body",
    [
        b'{"number": 1e999}',
        b'{"number": ' + b"9" * 5000 + b"}",
        b'{"share": -1e999}',
        b'{"number": 9' + b"0" * 400,
    ],
)
def test_a_number_without_measure_is_refused(body):
    assert client.post("/", data=body).status_code in (400, 422)


@CASES
@given(st.binary(max_size=60), st.sampled_from(["", "application/json", "application/x-www-form-urlencoded"]))
def test_any_octets_as_a_body_are_answered(body, media):
    answer = client.post("/", data=body, headers={"Content-Type": media})
    assert answer.status_code in (200, 400, 422)


@CASES
@given(st.binary(max_size=80))
def test_any_octets_as_a_multipart_form_are_answered(body):
    for sent in (body, b"--x\r\n" + body + b"\r\n--x--", b"--x\r\nContent-Disposition: " + body):
        answer = client.post("/", data=sent, headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert answer.status_code in (200, 400, 422)


@CASES
@given(st.text(max_size=40))
def test_any_content_type_is_answered(media):
    answer = client.post("/", data=b"{}", headers={"Content-Type": media})
    assert answer.status_code in (200, 400, 415, 422)


@CASES
@given(st.text(alphabet=st.characters(), max_size=20), st.text(alphabet=st.characters(), max_size=20))
def test_any_path_and_query_are_answered(path, query):
    answer = client.get("/text/" + path, query=query)
    assert answer.status_code in (200, 400, 404, 422)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@CASES
@given(st.lists(values, max_size=5), st.dictionaries(st.text(max_size=6), values, max_size=4))
def test_any_call_is_answered(args, kwargs):
    outcome = app.call("hostile.post", *args, **kwargs)
    assert outcome.is_right() or outcome.monoid[0].code == "invalid_argument"
    assert app.call("hostile.post_echo", **kwargs).is_right() == ("self" not in kwargs)


@CASES
@given(values)
def test_any_result_is_answered(value):
    answer = App(Hostile(value)).test_client().get("/result")
    assert answer.status_code in (200, 204, 500)


@pytest.mark.parametrize("name", ["", "nope", "hostile", "hostile.", "hostile.result", "__class__", "\ud800"])
def test_an_unknown_operation_is_a_failure(name):
    assert app.call(name).monoid[0].code == "unimplemented"


class Text(str):
    """Such as markupsafe's."""

    __slots__ = ()


class Real(float):
    """Such as NumPy's."""


class Whole(int):
    pass


def test_numbers_and_text_of_classes_of_their_own_are_written_as_what_they_are():
    value = [{"a": Text("x")}, Real(1.5), Whole(2), datetime(2024, 1, 1)]
    assert to_json(value) == b'[{"a":"x"},1.5,2,"2024-01-01T00:00:00"]'
    assert to_plain(value) == [{"a": "x"}, 1.5, 2, "2024-01-01T00:00:00"]


@pytest.mark.parametrize("kind", [int, float, bool, datetime])
def test_text_that_is_no_unicode_fits_no_type_but_text(kind):
    """No wire format lets it pass, but the events of Lambda and the arguments of a command line do."""
    with pytest.raises(ConversionError):
        converter(kind, text=True, where="here")("\ud800")
