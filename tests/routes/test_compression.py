"""Gzip on request."""

from __future__ import annotations

import gzip

import pytest

from unimicro import App, Response, Service, entry
from unimicro.routes.answers import accepts_gzip

LONG = "text é " * 400


class Sizes(Service):
    @entry(no_auth=True)
    def get(self):
        return LONG

    @entry(no_auth=True)
    def get_small(self):
        return "small"

    @entry(no_auth=True)
    def get_binary(self):
        return LONG.encode()

    @entry(no_auth=True)
    def get_packed(self):
        return Response(
            gzip.compress(LONG.encode()), 200, {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
        )


client = App(Sizes()).test_client()


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("gzip; q=1", True),
        ("*;q=0, gzip", True),
        ("gzip;q=0, x-gzip", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip ; Q = 0.0", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("*, gzip;q=0", False),
        ("gzipped", False),
    ],
)
def test_the_weights_of_accept_encoding(value, accepted):
    assert accepts_gzip(value) == accepted


def test_a_long_text_is_compressed_for_who_accepts_it():
    packed = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.data).decode() == LONG
    assert packed.data == client.get("/", headers={"Accept-Encoding": "gzip"}).data


def test_both_answers_say_that_they_vary():
    for headers in ({}, {"Accept-Encoding": "gzip"}):
        assert client.get("/", headers=headers).headers["vary"] == "Accept-Encoding"
    assert client.get("/").text == LONG


@pytest.mark.parametrize("path", ["/small", "/binary"])
def test_small_or_binary_answers_are_left_alone(path):
    got = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in got.headers


def test_what_is_packed_already_is_not_packed_again():
    got = client.get("/packed", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(got.data).decode() == LONG
    assert got.headers.getall("content-encoding") == ("gzip",)


def test_it_can_be_switched_off():
    plain = App(Sizes(), config={"gzip_min_bytes": 0}).test_client()
    assert plain.get("/", headers={"Accept-Encoding": "gzip"}).text == LONG
