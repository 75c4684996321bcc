"""The route table: what matches, what beats what, and how much it looks at."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from unimicro.operation import HttpBinding
from unimicro.outcome import Failure
from unimicro.routes.table import Match, RouteTable, _walk, decode_segments, split_path

CASES = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def operation(verb: str, template: str) -> Any:
    names = tuple(part[1:-1] for part in template.split("/") if part.startswith("{"))
    return SimpleNamespace(name=f"{verb} {template}", http=HttpBinding(verb, template, names))


def table_of(*routes: str) -> RouteTable:
    return RouteTable([operation(*route.split(" ")) for route in routes])


def ask(table: RouteTable, verb: str, path: str) -> Any:
    """``name values`` of a match, or the status of the failure."""
    found = table.match(verb, decode_segments(split_path(path)))
    if isinstance(found, Match):
        return " ".join([found.operation.name, *found.values])
    assert isinstance(found, Failure)
    return found.status


def test_static_segments_beat_templates():
    table = table_of("GET /a/{x}", "GET /a/b", "GET /{y}/b", "GET /{y}/{x}")
    assert ask(table, "GET", "/a/b") == "GET /a/b"
    assert ask(table, "GET", "/a/c") == "GET /a/{x} c"
    assert ask(table, "GET", "/c/b") == "GET /{y}/b c"
    assert ask(table, "GET", "/c/d") == "GET /{y}/{x} c d"


def test_a_static_branch_that_leads_nowhere_is_left_again():
    table = table_of("GET /a/b/c", "GET /{x}/b/d", "GET /{x}/{y}/{z}")
    assert ask(table, "GET", "/a/b/c") == "GET /a/b/c"
    assert ask(table, "GET", "/a/b/d") == "GET /{x}/b/d a"
    assert ask(table, "GET", "/a/b/e") == "GET /{x}/{y}/{z} a b e"


def test_the_verb_decides_between_routes_that_both_fit():
    table = table_of("GET /orders/{id}", "POST /orders/new", "DELETE /{any}/{id}")
    assert ask(table, "GET", "/orders/new") == "GET /orders/{id} new"
    assert ask(table, "POST", "/orders/new") == "POST /orders/new"
    assert ask(table, "DELETE", "/orders/new") == "DELETE /{any}/{id} orders new"
    assert ask(table, "PUT", "/orders/new") == 405
    assert table.allowed(("orders", "new")) == ["DELETE", "GET", "HEAD", "OPTIONS", "POST"]


def test_an_unknown_path_is_404_and_a_wrong_verb_405_with_allow():
    table = table_of("GET /a", "POST /a")
    missing, wrong = table.match("GET", ("b",)), table.match("PUT", ("a",))
    assert isinstance(missing, Failure)
    assert isinstance(wrong, Failure)
    assert (missing.code, missing.status, missing.headers) == ("unimplemented", 404, None)
    assert (wrong.code, wrong.status) == ("unimplemented", 405)
    assert wrong.headers == {"Allow": "GET, HEAD, OPTIONS, POST"}


def test_head_is_answered_by_get_unless_there_is_a_head():
    assert ask(table_of("GET /a"), "HEAD", "/a") == "GET /a"
    assert ask(table_of("GET /a", "HEAD /a"), "HEAD", "/a") == "HEAD /a"
    assert ask(table_of("POST /a"), "HEAD", "/a") == 405
    assert table_of("POST /a").allowed(("a",)) == ["OPTIONS", "POST"]


def test_a_trailing_slash_is_the_same_as_none():
    table = table_of("GET /", "GET /a", "GET /a/{x}")
    assert ask(table, "GET", "/") == ask(table, "GET", "") == "GET /"
    assert ask(table, "GET", "/a/") == "GET /a"
    assert ask(table, "GET", "/a/b/") == "GET /a/{x} b"


@pytest.mark.parametrize("path", ["//", "///", "/a//", "//a", "/a//b", "/b//"])
def test_an_empty_segment_is_no_value(path):
    assert ask(table_of("GET /", "GET /a", "GET /a/{x}", "GET /{x}/{y}"), "GET", path) == 404


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/v/a%2Fb", "a/b"),
        ("/v/%2F", "/"),
        ("/v/a%252Fb", "a%2Fb"),
        ("/v/%25", "%"),
        ("/v/100%", "100%"),
        ("/v/%zz", "%zz"),
        ("/v/a+b", "a+b"),
        ("/v/%C3%A9", "é"),
        ("/v/%F0%9F%8E%89", "🎉"),
        ("/v/%00", "\x00"),
        ("/%76/x", "x"),
    ],
)
def test_a_segment_is_decoded_once_after_splitting(path, value):
    assert ask(table_of("GET /v/{x}"), "GET", path) == f"GET /v/{{x}} {value}"


@pytest.mark.parametrize("path", ["/%FF", "/a/%C3", "/%ED%A0%80", "/%C0%AF"])
def test_octets_that_are_not_utf8_are_an_error(path):
    with pytest.raises(ValueError, match="utf-8"):
        decode_segments(split_path(path))


def test_a_path_without_a_leading_slash_is_read_as_if_it_had_one():
    assert ask(table_of("GET /", "GET /a"), "GET", "a") == "GET /a"
    assert ask(table_of("GET /", "GET /a"), "OPTIONS", "*") == 404


segments = st.sampled_from(["a", "b", "{x}", "{y}"])
templates = st.lists(segments, max_size=4).filter(
    lambda parts: all(parts.count(part) < 2 for part in parts if part.startswith("{"))
)
tables = st.lists(
    st.tuples(st.sampled_from(["GET", "POST", "PUT"]), templates),
    min_size=1,
    max_size=8,
    unique_by=lambda route: (route[0], tuple("{}" if part[0] == "{" else part for part in route[1])),
)
paths = st.lists(st.sampled_from(["a", "b", "c", "%61", "a%2Fb", "%C3%A9"]), max_size=4)


def as_werkzeug(routes: list[tuple[str, list[str]]]) -> Any:
    rules = []
    for verb, parts in routes:
        rule = "/" + "/".join(part.replace("{", "<").replace("}", ">") for part in parts)
        rules.append(Rule(rule, methods=[verb], endpoint=f"{verb} /" + "/".join(parts)))
    return Map(rules, strict_slashes=False, merge_slashes=False).bind("localhost")


@CASES
@given(tables, st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]), paths)
def test_it_agrees_with_werkzeug(routes, verb, path):
    """Werkzeug weighs a rule as a whole and we weigh segment by segment: compared where both must agree."""
    table = table_of(*(f"{verb} /{'/'.join(parts)}" for verb, parts in routes))
    decoded = decode_segments(path)
    fitting = list(_walk(table._root, decoded, 0, ()))
    # A decoded slash is inside its segment for us; a WSGI server shows werkzeug two segments.
    assume(not any("/" in segment for segment in decoded))
    assume(
        sum(verb in node.operations or (verb == "HEAD" and "GET" in node.operations) for node, _ in fitting)
        <= 1
    )
    adapter = as_werkzeug(routes)
    try:
        endpoint, values = adapter.match("/" + "/".join(decoded), method=verb)
        expected: Any = (endpoint, values)
    except NotFound:
        expected = 404
    except MethodNotAllowed as error:
        expected = (405, sorted({*error.valid_methods, "OPTIONS"}))
    found = table.match(verb, decoded)
    if isinstance(found, Match):
        assert found.operation.http is not None
        assert (
            found.operation.name,
            dict(zip(found.operation.http.names, found.values, strict=True)),
        ) == expected
    elif found.status == 405:
        assert (405, table.allowed(decoded)) == expected
    else:
        assert found.status == expected


@CASES
@given(tables, paths)
def test_a_match_fits_its_template_and_every_route_is_reachable(routes, path):
    table = table_of(*(f"{verb} /{'/'.join(parts)}" for verb, parts in routes))
    decoded = decode_segments(path)
    for verb, parts in routes:
        own = tuple("value" if part.startswith("{") else part for part in parts)
        assert isinstance(table.match(verb, own), Match)
        found = table.match(verb, decoded)
        fits = len(parts) == len(decoded) and all(
            part.startswith("{") or part == segment for part, segment in zip(parts, decoded, strict=True)
        )
        assert isinstance(found, Match) or not fits


class Counting(dict):
    """The static branches of a node, which count how often they are looked at."""

    looks = 0

    def get(self, *args: Any) -> Any:
        Counting.looks += 1
        return super().get(*args)


def count_looks(node: Any) -> None:
    node.static = Counting(node.static)
    for child in (*node.static.values(), node.parameter):
        if child is not None:
            count_looks(child)


def visits(routes: list[str], path: str) -> int:
    """How many nodes a match looks below."""
    table = table_of(*routes)
    count_looks(table._root)
    Counting.looks = 0
    table.match("GET", split_path(path))
    return Counting.looks


def test_the_number_of_routes_does_not_matter():
    few = ["GET /orders/{id}/lines/{line}"]
    many = few + [f"GET /r{n}/{{id}}/x{n}" for n in range(500)]
    path = "/orders/5/lines/6"
    assert visits(few, path) == visits(many, path) == 4


@pytest.mark.parametrize("depth", [4, 8, 12])
def test_a_hostile_path_costs_no_more_than_the_nodes_of_the_table(depth):
    """Each of the three walks is along branches of a tree: none visits a node twice."""
    shapes = list(product(["a", "{x}"], repeat=4))
    routes = [
        "GET /" + "/".join(part.replace("x", f"x{i}") for i, part in enumerate(shape)) + "/end"
        for shape in shapes
    ]
    nodes = 1 + sum(2**level for level in range(1, 5)) + 16
    assert visits(routes, "/" + "a/" * depth + "b") <= 3 * nodes
    straight = ["GET /" + "/".join(f"{{x{i}}}" for i in range(20)), "GET /" + "/".join("a" * 20)]
    assert visits(straight, "/" + "/".join("a" * 19) + "/b") <= 3 * 41
    assert visits(straight, "/" + "a/" * 10_000) <= 3 * 41
