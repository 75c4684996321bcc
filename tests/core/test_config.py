"""Settings: where they come from, which one wins, and what is refused."""

from __future__ import annotations

import json

import pytest

from unimicro import App, Breaker, Deadline, Retry, Service, Token, entry
from unimicro.config import Settings, load_settings
from unimicro.errors import ConfigurationError


class Shop(Service):
    @entry(safe=True, retry=Retry(attempts=2), deadline=Deadline(9))
    def get(self):
        return "in"

    @entry(no_auth=True)
    def get_open(self):
        return "open"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def policy(app: App, name: str, operation: str = "shop.get"):
    return app.policies_of(app.operations[operation]).get(name)


def refused(config=None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        App(Shop(), config=config)
    return str(caught.value)


def test_the_defaults():
    assert load_settings(None, None) == Settings()
    assert Settings().stage == "dev"
    assert Settings().serves_openapi
    assert not Settings(stage="prod").serves_openapi
    assert Settings(stage="prod", openapi=True).serves_openapi


def test_the_stage_is_the_default_then_code_then_file_then_environment(empty_folder, monkeypatch):
    assert load_settings(None, None).stage == "dev"
    assert load_settings("code", None).stage == "code"
    (empty_folder / "unimicro.toml").write_text('stage = "file"')
    assert load_settings("code", None).stage == "file"
    monkeypatch.setenv("UNIMICRO_STAGE", "environment")
    assert load_settings("code", None).stage == "environment"


def test_unimicro_toml_is_preferred_to_pyproject(empty_folder):
    (empty_folder / "pyproject.toml").write_text('[tool.unimicro]\nstage = "pyproject"')
    assert load_settings(None, None).stage == "pyproject"
    (empty_folder / "unimicro.toml").write_text('stage = "own"')
    assert load_settings(None, None).stage == "own"
    (empty_folder / "other.toml").write_text('stage = "other"')
    assert load_settings(None, empty_folder / "other.toml").stage == "other"
    assert load_settings(None, {"stage": "mapping"}).stage == "mapping"


def test_a_pyproject_without_us_is_fine(empty_folder):
    (empty_folder / "pyproject.toml").write_text("[project]\nname = 'x'")
    assert load_settings(None, None) == Settings()


def test_the_environment_is_read_by_kind(monkeypatch):
    monkeypatch.setenv("UNIMICRO_MAX_BODY_BYTES", "5")
    monkeypatch.setenv("UNIMICRO_DEADLINE_RESERVE", "0.25")
    monkeypatch.setenv("UNIMICRO_OPENAPI", "No")
    settings = load_settings(None, {"max_body_bytes": 7, "openapi": True})
    assert (settings.max_body_bytes, settings.deadline_reserve, settings.openapi) == (5, 0.25, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BODY_BYTES", "many"),
        ("OPENAPI", "perhaps"),
        ("DEADLINE_RESERVE", "nan"),
        ("THREADS", "0"),
        ("MAX_FIELDS", "1.5"),
    ],
)
def test_an_impossible_value_in_the_environment_is_named(monkeypatch, name, value):
    monkeypatch.setenv("UNIMICRO_" + name, value)
    text = refused()
    assert name.lower() in text.lower()
    assert "environment" in text or "UNIMICRO_" + name in text


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"stgae": "x"}, "config: unknown setting 'stgae'; did you mean 'stage'?"),
        ({"plugin": {}}, "did you mean 'plugins'?"),
        ({"stage": 5}, "stage must be str"),
        ({"threads": True}, "threads must be int"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"max_body_bytes": -1}, "at least 0"),
        ({"deadline_reserve": float("nan")}, "at least 0"),
        ({"deadline_reserve": float("inf")}, "deadline_reserve must be finite"),
        ({"authorizer_response": "both"}, "simple, iam"),
        ({"base_path": "api"}, "must start with '/'"),
        ({"policies": []}, "policies must be a table"),
        ({"entries": {"shop.get": False}}, "entries.shop.get must be a table"),
        ({"entries": {"shop.gte": {}}}, "did you mean 'shop.get'?"),
        ({"policies": {"retyr": True}}, "did you mean 'retry'?"),
        ({"entries": {"shop.get": {"retyr": True}}}, "entries.shop.get: unknown policy 'retyr'"),
        ({"policies": {"deadline": {"timeuot": 1}}}, "did you mean 'timeout'?"),
        ({"policies": {"deadline": {"timeout": 0}}}, "Deadline.timeout"),
        ({"policies": {"deadline": {"timeout": "5"}}}, "Deadline.timeout"),
        ({"policies": {"deadline": 5}}, "policies.deadline: expected true, false, a mode"),
        ({"entries": {"shop.get": {"breaker": {"window": 2.5}}}}, "entries.shop.get.breaker: Breaker.window"),
        ({"plugins": ["a"]}, "plugins must be a table"),
        ({"plugins": {"enabled": []}}, "only disabled"),
        ({"plugins": {"disabled": "admin"}}, "only disabled"),
        ({"plugins": {"disabled": [1]}}, "only disabled"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(config, told):
    assert told in refused(config)


def test_the_source_of_a_mistake_is_named(empty_folder, monkeypatch):
    (empty_folder / "pyproject.toml").write_text("[tool.unimicro]\nstgae = 'x'")
    assert "[tool.unimicro]" in refused()
    (empty_folder / "pyproject.toml").write_text("[tool]\nunimicro = 5")
    assert "tool.unimicro must be a table" in refused()
    (empty_folder / "unimicro.toml").write_text("stgae = 'x'")
    assert "unimicro.toml" in refused()
    (empty_folder / "unimicro.toml").write_text("stage = ")
    assert "cannot read unimicro.toml" in refused()
    assert "nowhere.toml" in refused("nowhere.toml")
    monkeypatch.setenv("UNIMICRO_ENTRIES", "{")
    (empty_folder / "unimicro.toml").write_text("")
    assert "UNIMICRO_ENTRIES" in refused()
    monkeypatch.setenv("UNIMICRO_ENTRIES", "[]")
    assert "environment: entries must be a table" in refused()


def test_policies_come_from_app_then_service_then_entry_then_configuration():
    class Layered(Shop):
        policies = (Deadline(5), Breaker(window=30))

    def of(**options):
        return App(Layered(name="shop"), policies=[Deadline(4), Breaker(window=40)], **options)

    app = of()
    assert policy(app, "deadline") == Deadline(9)
    assert policy(app, "deadline", "shop.get_open") == Deadline(5)
    assert policy(app, "breaker").window == 30
    app = of(config={"policies": {"deadline": {"timeout": 3}}, "entries": {"shop.get": {"breaker": True}}})
    assert policy(app, "deadline") == policy(app, "deadline", "shop.get_open") == Deadline(3)
    assert policy(app, "breaker") == Breaker()
    app = of(
        config={
            "policies": {"deadline": {"timeout": 3}},
            "entries": {"shop.get": {"deadline": {"timeout": 2}}},
        }
    )
    assert (policy(app, "deadline").timeout, policy(app, "deadline", "shop.get_open").timeout) == (2, 3)


def test_entries_of_the_environment_are_merged_into_those_of_the_file(monkeypatch):
    monkeypatch.setenv("UNIMICRO_ENTRIES", json.dumps({"shop.get": {"deadline": {"timeout": 1}}}))
    config = {
        "entries": {
            "shop.get": {"deadline": {"timeout": 2}, "breaker": True},
            "shop.get_open": {"breaker": True},
        }
    }
    app = App(Shop(), config=config)
    assert policy(app, "deadline") == Deadline(1)
    assert policy(app, "breaker") == policy(app, "breaker", "shop.get_open") == Breaker()


def test_false_takes_a_policy_away():
    app = App(Shop(), config={"entries": {"shop.get": {"retry": False, "deadline": False, "breaker": False}}})
    assert [stage.name for stage in app.stages_of("shop.get")] == ["auth", "arguments"]
    app = App(Shop(), config={"policies": {"retry": False}})
    assert policy(app, "retry") is None


def test_auth_false_opens_an_entry_and_no_other():
    client = App(Shop(), config={"entries": {"shop.get": {"auth": False}}}).test_client()
    assert client.get("/").text == "in"
    assert App(Shop()).test_client().get("/").status_code == 401


def test_auth_for_every_operation_does_not_close_an_open_one():
    client = App(Shop(), config={"policies": {"auth": {"header": "x-token"}}}).test_client()
    assert client.get("/open").text == "open"
    assert "x-token" in client.get("/").json["detail"]
    assert App(Shop(), policies=[Token()]).test_client().get("/open").text == "open"
    closed = App(Shop(), config={"entries": {"shop.get_open": {"auth": True}}})
    assert closed.test_client().get("/open").status_code == 401


def test_the_base_path_is_stripped_as_whole_segments():
    client = App(Shop(), config={"base_path": "/api"}).test_client()
    assert client.get("/api/open").text == "open"
    assert client.get("/open").text == "open"
    assert client.get("/apiopen").status_code == 404


@pytest.mark.parametrize("stage", ["", " "])
def test_a_stage_without_a_name_is_refused(stage, monkeypatch):
    """As ``UNIMICRO_STAGE=${STAGE}`` gives where STAGE is not set."""
    with pytest.raises(ConfigurationError, match="stage must have a name"):
        load_settings(None, {"stage": stage})
    monkeypatch.setenv("UNIMICRO_STAGE", stage)
    with pytest.raises(ConfigurationError, match="stage must have a name"):
        load_settings(None, {})


def test_a_file_that_is_not_utf_8_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "odd.toml"
    path.write_bytes(b'stage = "\xff"')
    with pytest.raises(ConfigurationError, match=r"cannot read .*odd\.toml"):
        load_settings(None, path)
