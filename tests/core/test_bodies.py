"""Request bodies: JSON, forms, multipart, octets and text; what cannot be parsed and what is not taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from tests.core.helpers import code_of, complaints
from unimicro import App, Body, Query, Service, Upload, entry


@dataclass
class Line:
    sku: str
    count: int = 1


class Bodies(Service):
    @entry(no_auth=True)
    def post_members(self, a: int = 0, b: str = "") -> list[Any]:
        return [a, b]

    @entry(no_auth=True)
    def post_whole(self, line: Annotated[Line, Body]) -> Line:
        return line

    @entry(no_auth=True)
    def post_any(self, value: Annotated[Any, Body] = "nothing", *, q: Annotated[int, Query] = 0) -> list[Any]:
        return [value, q]

    @entry(no_auth=True)
    def post_octets(self, data: Annotated[bytes, Body]) -> bytes:
        return data

    @entry(no_auth=True)
    def post_maybe(self, data: Annotated[bytes | None, Body] = None) -> list[bool]:
        return [data is None]

    @entry(no_auth=True)
    def post_text(self, text: Annotated[str, Body]) -> str:
        return text

    @entry(no_auth=True)
    def post_file(self, document: Upload, title: str = "") -> list[Any]:
        return [document.filename, document.content_type, document.content.decode("latin-1"), title]

    @entry(no_auth=True)
    def get_nothing(self) -> str:
        return "got"


client = App(Bodies(), config={"max_fields": 10}).test_client()

JSON = {"Content-Type": "application/json"}


def multipart(*parts: bytes, boundary: str = "cut") -> dict[str, Any]:
    body = b"".join(b"--cut\r\n" + part + b"\r\n" for part in parts) + b"--cut--\r\n"
    return {"data": body, "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"}}


FILE = (
    b'Content-Disposition: form-data; name="document"; filename="a.bin"\r\n'
    b"Content-Type: image/png\r\n\r\n\xff\x00"
)
TITLE = 'Content-Disposition: form-data; name="title"\r\n\r\nGrüße'.encode()


@pytest.mark.parametrize(
    "body",
    [b"{", b"nope", b'{"a": NaN}', b'{"a": 1} x', b"\xff", b'{"b": "\\ud800"}', b'{"a": 1e999}', b"\x00"],
)
def test_what_cannot_be_parsed_is_400(body):
    assert code_of(client.post("/members", data=body, headers=JSON)) == (400, "invalid_argument")


def test_json_nested_without_end_is_400():
    answer = client.post("/members", data=b"[" * 100_000, headers=JSON)
    assert code_of(answer) == (400, "invalid_argument")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null"])
def test_json_that_is_no_object_is_422(body):
    assert complaints(client.post("/members", data=body, headers=JSON)) == {"body": "expected an object"}


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "application/vnd.a+json", ""])
def test_json_is_told_by_its_content_type_and_is_the_default(media):
    headers = {"Content-Type": media} if media else {}
    assert client.post("/members", data=b'{"a": 5}', headers=headers).json == [5, ""]


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "image/png", "application/msgpack"])
def test_another_content_type_is_415(media):
    answer = client.post("/members", data=b'{"a": 5}', headers={"Content-Type": media})
    assert code_of(answer) == (415, "invalid_argument")
    assert answer.json["title"] == "Unsupported Media Type"


def test_no_body_means_the_defaults():
    assert client.post("/members").json == [0, ""]
    assert client.post("/any").json == ["nothing", 0]


def test_the_body_of_a_get_is_not_read():
    assert client.get("/nothing", data=b"{").text == "got"


def test_the_whole_body_is_one_parameter():
    assert client.post("/whole", json={"sku": "a"}).json == {"sku": "a", "count": 1}
    assert client.post("/whole", data={"sku": "a", "count": "4"}).json == {"sku": "a", "count": 4}
    assert complaints(client.post("/whole", json={"count": 1})).keys() == {"line"}
    assert complaints(client.post("/whole")) == {"line": "missing"}
    assert client.post("/any?q=3", data=b"[null]", headers=JSON).json == [[None], 3]


@pytest.mark.parametrize(
    "media", ["", "image/png", "application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
)
@pytest.mark.parametrize("body", [b"\xff\x00", b'{"a": 1}', b"123", b""])
def test_octets_arrive_as_they_are_whatever_their_type(media, body):
    answer = client.post("/octets", data=body, headers={"Content-Type": media} if media else {})
    assert (answer.status_code, answer.data) == (200, body)


def test_optional_octets_are_absent_when_the_body_is():
    assert client.post("/maybe").json == [True]
    assert client.post("/maybe", data=b"x").json == [False]


def test_text_arrives_decoded():
    assert client.post("/text", data="Grüße 🎉", headers={"Content-Type": "text/plain"}).text == "Grüße 🎉"
    assert client.post("/text", data="12").text == "12"
    assert client.post("/text", data='"json"', headers=JSON).text == "json"
    assert client.post("/text", data=b"", headers={"Content-Type": "text/plain"}).text == ""
    assert code_of(client.post("/text", data=b"\xff")) == (400, "invalid_argument")


def test_a_multipart_form_brings_files_and_fields():
    answer = client.post("/file", **multipart(FILE, TITLE))
    assert answer.json == ["a.bin", "image/png", "\xff\x00", "Grüße"]


def test_a_file_must_be_a_file():
    text = b'Content-Disposition: form-data; name="document"\r\n\r\ntext'
    assert complaints(client.post("/file", **multipart(text))).keys() == {"document"}
    assert complaints(client.post("/file", json={"document": "text"})).keys() == {"document"}


def test_a_part_that_nobody_takes_is_named():
    other = b'Content-Disposition: form-data; name="other"\r\n\r\nx'
    assert complaints(client.post("/file", **multipart(FILE, other))) == {"other": "unexpected argument"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--cut\r\n", "multipart/form-data; boundary=cut"),
        (b"--cut\r\nno header\r\n\r\nx\r\n--cut--\r\n", "multipart/form-data; boundary=cut"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary="),
        (b"x", 'multipart/form-data; boundary="\u1234"'),
        (b"\xff=1", "application/x-www-form-urlencoded"),
        (b"a=%FF", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=1" for _ in range(11)), "application/x-www-form-urlencoded"),
    ],
)
def test_a_malformed_form_is_400(body, content_type):
    answer = client.post("/members", data=body, headers={"Content-Type": content_type})
    assert code_of(answer) == (400, "invalid_argument")


def test_too_many_parts_are_400():
    part = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
    assert code_of(client.post("/file", **multipart(*[part] * 11))) == (400, "invalid_argument")


def test_a_body_above_the_limit_is_413():
    small = App(Bodies(), config={"max_body_bytes": 10}).test_client()
    assert code_of(small.post("/octets", data=b"x" * 11)) == (413, "invalid_argument")
    assert small.post("/octets", data=b"x" * 10).status_code == 200
