"""Assembly: services, policies and plugins become one runner per operation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from unimicro.assembly import (
    StoreFinder,
    checked_services,
    compile_operations,
    merged_policies,
    require_service,
)
from unimicro.booting import boot
from unimicro.config import Settings, load_settings
from unimicro.doors import Doors
from unimicro.errors import DefinitionError
from unimicro.invocation import IN_PROCESS, CallPayload, Invocation, current_invocation, new_id
from unimicro.lifecycle import Lifecycle
from unimicro.neighbours import Neighbours
from unimicro.operation import unexpected_failure
from unimicro.options import listed, require_policy
from unimicro.outcome import Failure, Left, Response, Right
from unimicro.pipeline.clock import SystemClock, WithoutWaits
from unimicro.pipeline.compiler import (
    compile_async,
    compile_authorization,
    compile_sync,
    stages_of,
    user_stage,
)
from unimicro.pipeline.listeners import Listeners
from unimicro.pipeline.policy import Assembly
from unimicro.pipeline.ports import Clock
from unimicro.plugins import builtin
from unimicro.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor

    from unimicro.assembly import Sourced
    from unimicro.channels.client.manager import ServiceManager
    from unimicro.component import Component
    from unimicro.config import Config
    from unimicro.discovery import Registry
    from unimicro.operation import Operation
    from unimicro.outcome import Outcome
    from unimicro.pipeline.circuit import Circuit
    from unimicro.pipeline.policy import Policy
    from unimicro.pipeline.stages import Runner, Stage
    from unimicro.plugins.manager import Plugins
    from unimicro.service import Service

__all__ = ["App"]


class App(Doors):
    """One or more services behind every door.

    Args:
        services: Instances; their names must differ.
        components: Classes decorated with ``@component``, or objects of them: they bring their services.
        provide: Type to an object of it, or to what makes one: for the constructors of what components bring.
        health_checks: Classes decorated with ``@health_checks``, or objects of them.
        registry: Where other services are found and the components made known once the app is served; by
            default what ``[registry]`` of the configuration says.
        plugins: Plugin objects, or names of installed plugins.
        policies: For every operation, below the service's and the entry's own.
        stages: Guards and flows run for every operation, before those of its service and entry.
        listeners: Objects told of transitions, retries and rejections; see ``unimicro.pipeline.listeners``.
        stores: Name to store, for policies that keep state outside of the process; beside the
            configuration's ``[stores]``.
        stage: Deployment stage, such as ``prod``; configuration and ``UNIMICRO_STAGE`` override it.
        config: See ``unimicro.config.load_settings``.
        clock: Another source of time, for tests.

    Raises:
        ConfigurationError: Anything that cannot work is refused here, not at the first request.
    """

    def __init__(
        self,
        *services: Service,
        components: Sequence[type[Component] | Component] = (),
        provide: Mapping[Any, Any] | None = None,
        health_checks: Sequence[object] = (),
        registry: Registry | None = None,
        plugins: Sequence[object] = (),
        policies: Sequence[Policy] = (),
        stages: Sequence[Any] = (),
        listeners: Sequence[object] = (),
        stores: Mapping[str, Any] | None = None,
        stage: str | None = None,
        config: Config = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        self.settings = load_settings(stage, config)
        self.clock: Clock = clock or SystemClock()
        if not self.settings.waits:
            self.clock = WithoutWaits(self.clock)
        self._plugins = self._load_plugins(listed("plugins", plugins)) if plugins else None
        self.listeners = Listeners(listed("listeners", listeners))
        self._neighbours = Neighbours(self, registry)
        for service in services:
            require_service(service)
        self.services: tuple[Service, ...] = ()
        self.components, booted, self._health_checks = boot(
            services,
            listed("components", components),
            listed("health_checks", health_checks),
            self._objects(provide),
            self._neighbours.proxy,
            self.clock,
        )
        self.services = checked_services(booted)
        self._policies = listed("policies", policies)
        for policy in self._policies:
            require_policy(policy)
        self._user_stages = listed("stages", stages)
        self.operations: Mapping[str, Operation] = compile_operations(self.services, self.settings)
        self._policies_of = {
            operation.name: merged_policies(operation, self._policies, self.settings, self._plugins)
            for operation in self.operations.values()
        }
        self._assembly = Assembly(
            self.clock,
            self.listeners,
            StoreFinder(stores or {}, self.settings.stores),
            builtin.fetch,
        )
        self._stages = {operation.name: self._stages_of(operation) for operation in self.operations.values()}
        self._sync_runners = {
            name: compile_sync(operation, self._stages[name], self.clock)
            for name, operation in self.operations.items()
        }
        self._lifecycle = Lifecycle(self.components, self.services, self._doors)
        self.presence = Presence(self, self._lifecycle)
        self.pages = self._pages()
        if self._plugins is not None:
            self._plugins.call("unimicro_assembled", app=self)

    # -- assembly ------------------------------------------------------------------------------

    def _objects(self, provide: Mapping[Any, Any] | None) -> dict[Any, Any]:
        """What constructors may have: the app's own, and what was given."""
        if provide is not None and not isinstance(provide, Mapping):
            raise DefinitionError(f"App: provide takes a mapping from types, not {provide!r}")
        own = {App: self, type(self): self, Settings: self.settings, Clock: self.clock}
        return {**own, **(provide or {})}

    def _pages(self) -> dict[str, Operation]:
        """Path to operation of what every HTTP door serves beside the entries."""
        if not self.settings.health:
            return {}
        from unimicro.health_pages import pages

        found = pages(
            self.operations, self.components, self.presence, self._health_checks, self.settings, self.clock
        )
        for path, page in found.items():
            self._stages[path] = ()
            self._sync_runners[path] = compile_sync(page, (), self.clock)
        return found

    @property
    def registry(self) -> Registry | None:
        """The one that was given, or that the configuration says.

        Raises:
            ConfigurationError: Its settings are impossible.
        """
        return self._neighbours.registry

    @property
    def manager(self) -> ServiceManager:
        """Makes proxies of other services, with the app's settings, clock, listeners and registry."""
        return self._neighbours.manager

    @property
    def plugins(self) -> Plugins:
        """Those that were listed, and those that were asked for by name since."""
        if self._plugins is None:
            self._plugins = self._load_plugins()
        return self._plugins

    def _load_plugins(self, plugins: Iterable[object] = ()) -> Plugins:
        from unimicro.plugins.manager import Plugins

        return Plugins(plugins, self.settings.disabled_plugins)

    def _stages_of(self, operation: Operation) -> tuple[Stage, ...]:
        where, service = operation.name, operation.service
        of_service = listed(f"{type(service).__name__}.stages", service.stages)
        given = (*self._user_stages, *of_service, *operation.options.stages)
        extra = [user_stage(function, where) for function in given]

        def register(name: str, stage: Any, *, order: int = 40) -> None:
            extra.append(user_stage(stage, where)._replace(name=name, order=order))

        if self._plugins is not None:
            self._plugins.stages(operation, register)
        policies = [sourced.policy for sourced in self._policies_of[operation.name].values()]
        return stages_of(operation, policies, extra, self._assembly)

    def policies_of(self, operation: Operation) -> dict[str, Policy]:
        """The policies that ``operation`` enforces, by name; see ``merged_policies``."""
        return {
            name: sourced.policy
            for name, sourced in self._policies_of[operation.name].items()
            if sourced.policy.mode == "enforce"
        }

    def sources_of(self, operation: Operation) -> Mapping[str, Sourced]:
        """All that was said of policies for ``operation``, also those off or in shadow, with its origin."""
        return self._policies_of[operation.name]

    def stages_of(self, operation: str) -> tuple[Stage, ...]:
        """The compiled pipeline of an operation, outermost first; the method lies below it."""
        return self._stages[operation]

    def circuit(self, name: str) -> Circuit:
        """The circuit of that name, to be looked at or forced; see ``Circuit``.

        Raises:
            ConfigurationError: No breaker of the app has that circuit.
        """
        from unimicro.pipeline.breaker import find_circuit

        return find_circuit(self._assembly, name)

    @cached_property
    def _threads(self) -> Executor:
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(self.settings.threads, thread_name_prefix="unimicro")

    @cached_property
    def _async_runners(self) -> dict[str, Any]:
        return {
            name: compile_async(operation, self._stages[name], self.clock, self._threads)
            for name, operation in {**self.operations, **self.pages}.items()
        }

    # -- running -------------------------------------------------------------------------------

    def run(self, invocation: Invocation) -> Outcome[Any]:
        """Send an invocation through the pipeline of its operation, in this thread."""
        runner = self._sync_runners.get(invocation.operation)
        return _unknown(invocation.operation) if runner is None else runner(invocation)

    async def arun(self, invocation: Invocation) -> Outcome[Any]:
        """``run`` on the running event loop."""
        runner = self._async_runners.get(invocation.operation)
        if runner is None:
            return _unknown(invocation.operation)
        try:
            outcome: Outcome[Any] = await runner(invocation)
            return outcome
        except BaseException as error:
            from unimicro.pipeline.loop import is_stray_cancellation

            if not is_stray_cancellation(error):
                raise
            return Left(unexpected_failure(error, invocation))

    def authorization_of(self, operation: str) -> Runner:
        """A function from an invocation to the principal that the operation's authorizers see in it.

        ``Left`` says why they refuse, ``Right(None)`` that it is open to everyone. The method is not called.
        """
        return compile_authorization(self._stages[operation], self.clock)

    def call(self, operation: str, /, *args: Any, **kwargs: Any) -> Outcome[Any]:
        """Call an operation from this process: validated, with all policies, without a token.

        Returns:
            ``Right`` of the method's result (of the body, where it returned a status), or ``Left``.
        """
        return _body_only(self.run(self._in_process(operation, args, kwargs)))

    async def acall(self, operation: str, /, *args: Any, **kwargs: Any) -> Outcome[Any]:
        """``call`` on the running event loop."""
        return _body_only(await self.arun(self._in_process(operation, args, kwargs)))

    def _in_process(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Invocation:
        outer = current_invocation()
        return Invocation(
            operation,
            CallPayload(args, kwargs),
            principal=IN_PROCESS,
            # A call made while another is served inherits its deadline and trace.
            deadline=outer and outer.deadline,
            trace=outer and outer.trace,
            door="local",
            stage=self.settings.stage,
            id=new_id(),
        )

    # -- lifecycle -----------------------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether the app was started and not stopped since."""
        return self._lifecycle.started

    def start(self) -> None:
        """Start components, services and the doors made so far, in this order. A second call does nothing."""
        try:
            self._lifecycle.start()
        except BaseException:
            self._neighbours.close()
            raise

    def stop(self) -> None:
        """Take the app out of the registry, then stop doors, services and components, in reverse order."""
        self.presence.withdraw()
        self._lifecycle.stop()
        self.presence.draining = False
        self._neighbours.close()

    async def astart(self) -> None:
        """``start`` on the running event loop: an async ``setup`` is awaited on it."""
        try:
            await self._lifecycle.astart()
        except BaseException:
            await self._neighbours.aclose()
            raise

    async def astop(self) -> None:
        """``stop`` on the running event loop."""
        await self.presence.awithdraw()
        await self._lifecycle.astop()
        self.presence.draining = False
        await self._neighbours.aclose()

    def kill(self) -> None:
        """Stop without waiting for work in flight."""
        for door in self._doors.values():
            door.kill()
        if "_threads" in self.__dict__:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def _unknown(operation: str) -> Outcome[Any]:
    return Left(Failure("unimplemented", f"there is no operation {operation!r}"))


def _body_only(outcome: Outcome[Any]) -> Outcome[Any]:
    return Right(outcome.value.body) if type(outcome.value) is Response else outcome
