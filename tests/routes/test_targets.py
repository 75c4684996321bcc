"""From a request target to segments and query, and the failures of malformed ones."""

from __future__ import annotations

import pytest

from tests.core.helpers import code_of
from unimicro import App, Service, entry
from unimicro.outcome import Failure
from unimicro.routes.request import HttpRequest, parse_target, strip_prefix


class Echo(Service):
    @entry(no_auth=True)
    def get_item(self, name: str, *, q: str = ""):
        return [name, q]

    @entry(no_auth=True)
    def get(self):
        return "root"


app = App(Echo())
client = app.test_client()


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/item/a%2Fb", ["a/b", ""]),
        ("/item/a%252Fb", ["a%2Fb", ""]),
        ("/item/a?q=%2526", ["a", "%26"]),
        ("/item/a?q=a+b", ["a", "a b"]),
        ("/item/a?q=a%2Bb", ["a", "a+b"]),
        ("/item/a/?q=a=b", ["a", "a=b"]),
        ("/item/a?q=", ["a", ""]),
        ("/item/a?q", ["a", ""]),
        ("/item/é?q=é", ["é", "é"]),
        ("/item/a;b?q=a;b", ["a;b", "a;b"]),
        ("/item/a%3Fb", ["a?b", ""]),
    ],
)
def test_a_target_is_decoded_once(target, answer):
    assert client.get(target).json == answer


@pytest.mark.parametrize("target", ["/item/%FF", "/%FF", "/item/a?q=%FF", "/item/a?%C3=1", "/item/%ED%A0%80"])
def test_octets_that_are_not_utf8_are_400(target):
    assert code_of(client.get(target)) == (400, "invalid_argument")


def test_too_many_query_fields_are_400():
    few = App(Echo(), config={"max_fields": 3}).test_client()
    assert code_of(few.get("/item/a?" + "&".join(["q=1"] * 4))) == (400, "invalid_argument")
    assert few.get("/item/a?q=1").status_code == 200


@pytest.mark.parametrize(
    "target", ["//", "//item/a", "/item//", "/item//a", "/item", "/item/a/b", "/Item/a", "/nowhere"]
)
def test_other_paths_are_404(target):
    answer = client.get(target)
    assert code_of(answer) == (404, "unimplemented")
    assert answer.json["title"] == "Not Found"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", ""])
def test_other_verbs_are_405_with_allow(method):
    answer = client.open(method, "/item/a")
    assert code_of(answer) == (405, "unimplemented")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_problem_of_the_transport_is_the_answer():
    problem = Failure("invalid_argument", "no", status=400, layer="transport")
    for method in ("GET", "OPTIONS"):
        answer = app.door("http").handle(HttpRequest(method, "/", problem=problem))
        assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "base", "segments"),
    [
        ("/api/a", "/api", ("a",)),
        ("/api", "/api", ()),
        ("/api/", "/api/", ()),
        ("/apis/a", "/api", ("apis", "a")),
        ("/a/api", "/api", ("a", "api")),
        ("/api/v1/a", "/api/v1", ("a",)),
        ("/api/v2/a", "/api/v1", ("api", "v2", "a")),
        ("/api/api/a", "/api", ("api", "a")),
        ("/a", "", ("a",)),
    ],
)
def test_a_base_path_is_stripped_once_and_as_whole_segments(path, base, segments):
    assert parse_target(path, "", base_path=base)[0] == segments


def test_a_prefix_longer_than_the_path_is_none():
    assert strip_prefix(("a",), ("a", "b")) == ("a",)
