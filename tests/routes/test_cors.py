"""Cross-origin requests: preflight and actual."""

from __future__ import annotations

import pytest

from unimicro import App, Cors, Service, entry

HOME, OTHER = "https://home.example", "https://other.example"


class Crossing(Service):
    def token_authorizer(self, token):
        return token == "right"

    @entry(cors=Cors())
    def get(self):
        return "open"

    @entry
    def post(self):
        return "closed"

    @entry(
        cors=Cors(origins=(HOME,), headers=("x-a", "x-b"), expose=("x-c", "x-d"), credentials=True, max_age=5)
    )
    def get_home(self):
        return "home"

    @entry(no_auth=True, cors=Cors(headers=("*",)))
    def put_any(self, item: int):
        return item

    @entry(no_auth=True)
    def options_own(self):
        return "mine"


client = App(Crossing()).test_client()
TOKEN = {"Authorization": "right"}


def preflight(path: str, verb: str, origin: str = HOME, **headers: str):
    fields = {"Origin": origin, "Access-Control-Request-Method": verb}
    return client.options(path, headers=fields | {k.replace("_", "-"): v for k, v in headers.items()})


def granted(answer) -> dict[str, str]:
    prefix = "access-control-"
    return {
        name.removeprefix(prefix): value for name, value in answer.headers.items() if name.startswith(prefix)
    }


def test_options_names_the_verbs_and_asks_for_no_token():
    answer = client.options("/")
    assert (answer.status_code, answer.headers["allow"], answer.data) == (
        204,
        "GET, HEAD, OPTIONS, POST",
        b"",
    )
    assert granted(answer) == {}


def test_options_of_an_unknown_path_is_404():
    assert client.options("/nowhere").status_code == 404


def test_an_entry_may_answer_options_itself():
    assert client.options("/own").text == "mine"


def test_a_preflight_of_an_open_entry():
    answer = preflight("/", "GET", Access_Control_Request_Headers="x-z")
    assert answer.status_code == 204
    assert granted(answer) == {
        "allow-origin": "*",
        "allow-methods": "GET",
        "allow-headers": "authorization, content-type",
        "max-age": "600",
    }


def test_a_preflight_of_a_named_origin():
    answer = preflight("/home", "GET")
    assert granted(answer) == {
        "allow-origin": HOME,
        "allow-credentials": "true",
        "allow-methods": "GET",
        "allow-headers": "x-a, x-b",
        "expose-headers": "x-c, x-d",
        "max-age": "5",
    }
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", [OTHER, "https://home.exampl", HOME + ".evil.example", HOME.upper(), "null", ""]
)
def test_another_origin_is_granted_nothing_and_the_answer_varies(origin):
    for answer in (
        preflight("/home", "GET", origin),
        client.get("/home", headers=TOKEN | {"Origin": origin}),
    ):
        assert granted(answer) == {}
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("verb", ["POST", "DELETE", "", "GET\r\nX: y", "get"])
def test_an_entry_without_cors_and_an_unknown_verb_are_granted_nothing(verb):
    answer = preflight("/", verb)
    assert granted(answer) == {}
    assert answer.status_code == 204


def test_all_headers_asked_for_may_be_allowed():
    answer = preflight("/any/5", "PUT", Access_Control_Request_Headers="x-one, x-two")
    assert granted(answer)["allow-headers"] == "x-one, x-two"
    answer = preflight("/any/5", "PUT", Access_Control_Request_Headers="x-one\r\nSet-Cookie: a=b")
    assert "allow-headers" not in granted(answer)


def test_the_actual_request():
    assert granted(client.get("/", headers=TOKEN | {"Origin": OTHER})) == {"allow-origin": "*"}
    answer = client.get("/home", headers=TOKEN | {"Origin": HOME})
    assert answer.text == "home"
    assert granted(answer) == {
        "allow-origin": HOME,
        "allow-credentials": "true",
        "expose-headers": "x-c, x-d",
    }
    assert granted(client.post("/", headers=TOKEN | {"Origin": HOME})) == {}


def test_a_failure_can_be_read_by_the_script_as_well():
    for headers, status in (({}, 401), ({"Authorization": "wrong"}, 403)):
        answer = client.get("/", headers=headers | {"Origin": HOME})
        assert (answer.status_code, granted(answer)) == (status, {"allow-origin": "*"})
    answer = client.put("/any/five", headers={"Origin": HOME})
    assert (answer.status_code, granted(answer)) == (422, {"allow-origin": "*"})


def test_without_an_origin_there_is_nothing_to_grant():
    assert granted(client.get("/", headers=TOKEN)) == {}
