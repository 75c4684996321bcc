"""A likely slip in a decorator or in ``App(...)`` is refused where it is written, and named."""

from __future__ import annotations

import pytest

from unimicro import App, Right, Service, Token, entry, event, every
from unimicro.errors import ConfigurationError, DefinitionError


def guard(inv):
    return Right(inv)


class Shop(Service):
    @entry(no_auth=True)
    def get(self) -> str:
        return "tea"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"retri": 3}, "there is no option 'retri'; did you mean 'retry'?"),
        ({"safe": True, "retry": 3}, "3 is no policy"),
        ({"auth": Token}, "Token'> is no policy"),
        ({"policies": [5.0]}, "5.0 is no policy"),
        ({"policies": Token()}, "policies takes a list"),
        ({"errors": KeyError}, "errors takes a list"),
        ({"sensitive": "password"}, "sensitive takes a list, not 'password'"),
        ({"stages": guard}, "stages takes a list"),
        ({"stage": [guard]}, "stage= names a deployment stage; guards and flows go into stages=[...]"),
    ],
)
def test_an_option_of_an_entry_that_is_none_is_refused(options, told):
    with pytest.raises(DefinitionError) as caught:
        entry(**options)
    assert told in str(caught.value)


def test_options_of_an_event_are_held_to_the_same():
    with pytest.raises(DefinitionError, match="3 is no policy"):
        event("payments", "settled", retry=3)


@pytest.mark.parametrize("seconds", ["30", None, True, Shop.get])
def test_an_interval_is_a_number(seconds):
    with pytest.raises(DefinitionError, match=r"write @every\(30\)"):
        every(seconds)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"policies": [Token]}, "Token'> is no policy"),
        ({"policies": Token()}, "policies takes a list"),
        ({"stages": guard}, "stages takes a list"),
        ({"plugins": "lines"}, "plugins takes a list, not 'lines'"),
        ({"stage": [guard]}, "App: stage must be str"),
    ],
)
def test_an_option_of_an_app_that_is_none_is_refused(options, told):
    with pytest.raises(ConfigurationError) as caught:
        App(Shop(), **options)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("attribute", "given", "told"),
    [
        ("policies", Token(), "Own.policies takes a list"),
        ("policies", (Token,), "is no policy"),
        ("stages", guard, "Own.stages takes a list"),
    ],
)
def test_an_attribute_of_a_service_is_held_to_the_same(attribute, given, told):
    own = type("Own", (Shop,), {attribute: staticmethod(given) if given is guard else given})
    with pytest.raises(DefinitionError) as caught:
        App(own())
    assert told in str(caught.value)


def test_a_method_without_self_is_refused():
    class Selfless(Service):
        @entry
        def get() -> str:
            return "tea"

    with pytest.raises(DefinitionError, match=r"selfless\.get: a method takes self"):
        App(Selfless())
