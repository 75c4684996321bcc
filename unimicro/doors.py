"""The doors of an app, each made when it is first asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from unimicro.errors import ConfigurationError, nearest
from unimicro.plugins import builtin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Flask

    from unimicro.app import App
    from unimicro.channels.fastapi_server import FastApiServer, Server
    from unimicro.frontend import FrontEnd
    from unimicro.lambda_adapter.door import LambdaDoor
    from unimicro.operation import Operation
    from unimicro.plugins.manager import Plugins
    from unimicro.routes.flask_entry import FlaskEntry
    from unimicro.routes.http import HttpDoor
    from unimicro.routes.memory import MemoryDoor
    from unimicro.routes.timers import TimerDoor
    from unimicro.testing.client import HttpClient

__all__ = ["Doors"]


class Doors(ABC):
    """The part of ``App`` that requests come in by.

    Attributes:
        operations: The app's.
    """

    operations: Mapping[str, Operation]
    _plugins: Plugins | None

    def __init__(self) -> None:
        self._doors: dict[str, FrontEnd[Any, Any]] = {}
        self._making_door = RLock()

    @property
    @abstractmethod
    def plugins(self) -> Plugins:
        """Those that were listed, and those that were asked for by name since."""

    @property
    @abstractmethod
    def is_started(self) -> bool:
        """Whether doors are started as soon as they are made."""

    @overload
    def door(self, name: Literal["http"]) -> HttpDoor: ...
    @overload
    def door(self, name: Literal["flask"]) -> FlaskEntry: ...
    @overload
    def door(self, name: Literal["fastapi"]) -> FastApiServer: ...
    @overload
    def door(self, name: Literal["lambda"]) -> LambdaDoor: ...
    @overload
    def door(self, name: Literal["memory"]) -> MemoryDoor: ...
    @overload
    def door(self, name: Literal["timers"]) -> TimerDoor: ...
    @overload
    def door(self, name: str) -> FrontEnd[Any, Any]: ...
    def door(self, name: str) -> FrontEnd[Any, Any]:
        """The door of that name, made and set up when it is first asked for.

        Raises:
            ConfigurationError: There is no such door, or what it needs is not installed.
        """
        with self._making_door:
            if name not in self._doors:
                door = self._door_factory(name)(self)
                door.setup()
                self._doors[name] = door
                if self.is_started:
                    door.start()
        return self._doors[name]

    def _door_factory(self, name: str) -> Any:
        factory = None if self._plugins is None else self._plugins.listed("door", name)
        if factory is None and name in builtin.DOORS:
            return builtin.load(builtin.DOORS[name])
        factory = factory or self.plugins.find("door", name)
        if factory is None:
            raise ConfigurationError(
                f"there is no door {name!r}{nearest(name, [*builtin.DOORS, *self.plugins.names('door')])}"
            )
        return factory

    def lambda_events(self) -> list[tuple[str, Any, Any]]:
        """Shapes of Lambda events that plugins registered: (name, matches, respond)."""
        return [] if self._plugins is None else self._plugins.lambda_events(cast("App", self))

    @property
    def wsgi(self) -> Flask:
        """The app as a WSGI application (PEP 3333), through Flask."""
        return self.door("flask").native

    @property
    def asgi(self) -> Server:
        """The app as an ASGI application, through FastAPI; its attribute ``fastapi`` is the latter."""
        return self.door("fastapi").native

    @property
    def lambda_handler(self) -> Callable[[Any, Any], Any]:
        """The app as a Lambda function: ``handler(event, context)``."""
        return self.door("lambda").handle_event

    def __call__(self, first: Any, second: Any) -> Any:
        """``app(event, context)`` on Lambda, ``app(environ, start_response)`` on a WSGI server.

        Told apart per call: only WSGI's second argument is callable.
        """
        return self.wsgi(first, second) if callable(second) else self.lambda_handler(first, second)

    def test_client(self) -> HttpClient:
        """An HTTP client that needs no server."""
        client: type[HttpClient] = builtin.load("unimicro.testing.client:HttpClient")
        return client(cast("App", self))

    @property
    def routes(self) -> list[str]:
        """``GET /orders/{order_id}`` of every HTTP entry, sorted by path."""
        bindings = [op.http for op in self.operations.values() if op.http is not None]
        return [
            f"{http.verb} {http.template}" for http in sorted(bindings, key=lambda h: (h.template, h.verb))
        ]
