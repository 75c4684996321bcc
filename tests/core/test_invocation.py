"""Invocations, their metadata, ids, traces and keys."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unimicro import Failure, Invocation, Principal
from unimicro.invocation import CallPayload, HttpPayload, new_id
from unimicro.metadata import Metadata, TraceContext, parse_idempotency_key, parse_traceparent

CASES = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

text = st.text(max_size=10)
payloads = st.builds(
    HttpPayload,
    st.lists(text, max_size=3).map(tuple),
    st.lists(st.tuples(text, text), max_size=3).map(tuple),
    st.binary(max_size=20),
    text,
) | st.builds(
    CallPayload,
    st.lists(st.none() | st.integers() | text, max_size=3).map(tuple),
    st.dictionaries(text, st.integers(), max_size=2),
)
principals = st.builds(
    Principal,
    text,
    st.lists(text, max_size=2).map(tuple),
    st.lists(text, max_size=2).map(tuple),
    st.dictionaries(text, st.integers(), max_size=2),
)
invocations = st.builds(
    Invocation,
    text,
    payloads,
    metadata=st.lists(st.tuples(st.sampled_from(["A", "b", "Cookie"]), text), max_size=4).map(Metadata),
    principal=st.none() | principals,
    deadline=st.none() | st.integers(0, 10**6),
    trace=st.none() | st.builds(TraceContext, text, text, text, text),
    key=st.none() | text,
    attempt=st.integers(1, 5),
    door=text,
    stage=text,
    id=text,
    native=st.just(object()),
)


@CASES
@given(invocations, st.integers(0, 10**6))
def test_an_invocation_survives_json(invocation, now):
    assert Invocation.from_dict(json.loads(json.dumps(invocation.to_dict(now))), now) == invocation


def test_a_deadline_is_relative_on_the_wire():
    data = Invocation("a.b", deadline=1010.0).to_dict(1000.0)
    assert data["timeout"] == 10.0
    assert Invocation.from_dict(data, 5.0).deadline == 15.0


def test_native_is_neither_compared_nor_serialised():
    one, other = Invocation("a.b", native=1), Invocation("a.b", native=2)
    assert one == other
    assert hash(one) == hash(other)
    assert (one != other) is False
    assert "native" not in one.to_dict(0)
    assert one != Invocation("a.c")
    assert one != tuple(one)


@pytest.mark.parametrize("name", Invocation._fields)
def test_an_invocation_is_immutable(name):
    invocation = Invocation("a.b")
    with pytest.raises(AttributeError):
        setattr(invocation, name, None)
    with pytest.raises(AttributeError):
        invocation.other = 1


def test_changes_make_copies():
    first = Invocation("a.b", native="raw", id="1")
    copies = [
        first.with_arguments({"x": 1}),
        first.with_principal(Principal("ann")),
        first.with_deadline(5.0),
        first.next_attempt(Failure("unavailable")),
    ]
    assert all(type(copy) is Invocation and copy.native == "raw" and copy.id == "1" for copy in copies)
    assert first == Invocation("a.b", id="1")
    assert [copies[0].arguments, copies[1].principal.subject, copies[2].deadline] == [{"x": 1}, "ann", 5.0]
    assert (copies[3].attempt, copies[3].last_failure) == (2, Failure("unavailable"))


def test_neither_arguments_nor_header_values_are_shown():
    invocation = Invocation("a.b", CallPayload(("secret",)), metadata=Metadata({"authorization": "secret"}))
    assert "secret" not in repr(invocation)
    assert "secret" not in repr(invocation.metadata)


def test_an_invocation_can_be_pickled():
    invocation = Invocation("a.b", CallPayload((1,)), metadata=Metadata({"A": "b"}))
    assert pickle.loads(pickle.dumps(invocation)) == invocation


class TestMetadata:
    def test_names_are_not_case_sensitive(self):
        metadata = Metadata({"Content-Type": "a"})
        assert metadata["CONTENT-type"] == metadata.get("Content-Type") == metadata.get("content-type") == "a"
        assert "content-TYPE" in metadata
        assert list(metadata) == ["content-type"]
        assert metadata.get("X", "none") == "none"
        assert metadata.get("X") is None

    def test_repeated_values_are_kept_and_joined(self):
        metadata = Metadata([("Accept", "a"), ("accept", "b"), ("ACCEPT", "c"), ("other", "d")])
        assert metadata["accept"] == "a, b, c"
        assert metadata.getall("Accept") == ("a", "b", "c")
        assert metadata.getall("other") == ("d",)
        assert metadata.getall("none") == ()
        assert metadata.pairs() == [("accept", "a"), ("accept", "b"), ("accept", "c"), ("other", "d")]
        assert len(metadata) == 2

    def test_cookies_are_joined_with_semicolons(self):
        assert Metadata([("Cookie", "a=1"), ("cookie", "b=2")])["cookie"] == "a=1; b=2"

    def test_pairs_make_it_again(self):
        metadata = Metadata([("a", "1"), ("b", "2"), ("A", "")])
        assert Metadata(metadata.pairs()) == metadata
        assert hash(Metadata(metadata.pairs())) == hash(metadata)
        assert metadata != Metadata([("a", "1, "), ("b", "2")])


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class TestTraceparent:
    def test_a_valid_one(self):
        fields = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1,b=2"}
        assert parse_traceparent(Metadata(fields)) == TraceContext(TRACE, PARENT, "01", "a=1,b=2")

    def test_a_later_version_may_have_more(self):
        for rest in ("", "-what-ever", "-"):
            parsed = parse_traceparent(Metadata({"traceparent": f"cc-{TRACE}-{PARENT}-01{rest}"}))
            assert parsed == TraceContext(TRACE, PARENT, "01", "")

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "00",
            f"ff-{TRACE}-{PARENT}-01",
            f"00-{TRACE}-{PARENT}-01-more",
            f"00-{TRACE}-{PARENT}-01-",
            f"00-{TRACE}-{PARENT}",
            f"00-{'0' * 32}-{PARENT}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"00-{TRACE.upper()}-{PARENT}-01",
            f"00-{TRACE[:-1]}-{PARENT}-01",
            f"00-{TRACE}a-{PARENT}-01",
            f"00-{TRACE}-{PARENT}-1",
            f"00-{TRACE}-{PARENT}-0g",
            f"0-{TRACE}-{PARENT}-01",
            f"cc-{TRACE}-{PARENT}-01.more",
            f"00_{TRACE}_{PARENT}_01",
            f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        ],
    )
    def test_an_invalid_one_is_ignored_with_its_state(self, value):
        assert parse_traceparent(Metadata({"traceparent": value, "tracestate": "a=1"})) is None

    def test_two_of_them_restart_the_trace(self):
        value = f"00-{TRACE}-{PARENT}-01"
        assert parse_traceparent(Metadata([("traceparent", value), ("Traceparent", value)])) is None

    def test_state_alone_is_nothing(self):
        assert parse_traceparent(Metadata({"tracestate": "a=1"})) is None

    def test_repeated_state_is_one_list_duplicate_keys_kept(self):
        fields = [
            ("traceparent", f"00-{TRACE}-{PARENT}-00"),
            ("tracestate", "a=1"),
            ("tracestate", "a=2,b=3"),
        ]
        parsed = parse_traceparent(Metadata(fields))
        assert parsed is not None
        assert parsed.state == "a=1, a=2,b=3"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ('"abc"', "abc"),
        ("abc", "abc"),
        (' "a b" ', "a b"),
        ('"', '"'),
        ('"abc', '"abc'),
        ("", None),
        ("  ", None),
        ('""', None),
    ],
)
def test_an_idempotency_key_is_quoted_or_bare(value, key):
    assert parse_idempotency_key(Metadata({"Idempotency-Key": value})) == key
    assert parse_idempotency_key(Metadata()) is None


def test_ids_are_unique_in_threads():
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id(), range(5_000)))
    assert len(set(ids)) == 5_000
