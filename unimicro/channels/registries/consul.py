"""A registry in Consul, through the API of its agent.

Never through the catalog: what is registered there the agents' anti-entropy removes a minute later. What
python-consul2 0.1.5 lacks of the agent's API is asked for here, through the same HTTP client: registration
that replaces existing checks (``replace-existing-checks``), and whether the agent knows a service. Its
checks cannot be given a ``Status``, nor a TTL a ``DeregisterCriticalServiceAfter``: the body of a
registration is made in ``consul_service``. See also ``unimicro.stores.consul_agent``.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from unimicro.channels.registries.blocking_queries import BlockingQueries
from unimicro.channels.registries.checked import require_registrable, require_seconds
from unimicro.channels.registries.consul_service import check_id, escaped, instance_of, service_of
from unimicro.channels.registries.forking import tell_after_fork
from unimicro.channels.registries.keeping import Keeper
from unimicro.channels.registries.kept import KeptRegistry
from unimicro.channels.registries.watching import Watches
from unimicro.discovery import RegistryUnavailable
from unimicro.errors import require
from unimicro.stores.consul_agent import AgentHttp, agent, agent_address, agent_token
from unimicro.stores.settings import require_text, require_timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unimicro.channels.registries.watching import Watch
    from unimicro.discovery import Check, Instance

__all__ = ["ConsulRegistry"]

log = logging.getLogger("unimicro")

BEATS = 3
"""Reports within the time of a TTL."""
LONGEST_BEAT = 5.0
"""Seconds: an agent that was started anew is told of an instance by then."""


class ConsulRegistry(KeptRegistry):
    """Instances as the agents of Consul know them.

    A registration is kept up from a thread: an agent that has forgotten it is told again, a check without a
    ``url`` (a TTL) is reported to. A watch is a blocking query in a thread of its own. Child processes of a
    fork go on watching; registrations stay the parent's.

    Args:
        url: Of the agent.
        token: ACL token; by default that of the environment's ``CONSUL_HTTP_TOKEN``.
        timeout: Seconds for a connection to the agent, and for each part of an answer.
        wait: Seconds that a blocking query waits for a change before it asks again.
        grace: Seconds for which instances stay that an agent does not know any more after it did not answer,
            or was started anew: by then those that live have registered again.

    Raises:
        ConfigurationError: A setting is impossible.
        MissingExtra: The package python-consul2 is not installed.
    """

    def __init__(
        self,
        *,
        url: str = "http://127.0.0.1:8500",
        token: str | None = None,
        timeout: float = 1.0,
        wait: float = 10.0,
        grace: float = 10.0,
    ) -> None:
        require_text(url=url)
        require_timeout(timeout)
        require_seconds("wait", wait)
        require_seconds("grace", grace)
        self._address = agent_address(url)
        self._token = agent_token(token)
        self._timeout, self._wait, self._grace = timeout, wait, grace
        self._consul = require("consul", "consul", type(self).__name__)
        self._base = require("consul.base", "consul", type(self).__name__)
        self._watches = Watches(self._follow)
        self._keeper = Keeper()
        self.after_fork()
        tell_after_fork(self)

    def after_fork(self) -> None:
        """See ``tell_after_fork``."""
        self._changing = Lock()

    def register(self, instance: Instance, check: Check) -> None:
        """See ``Registry``. Consul knows no interval below one second.

        Raises:
            ConfigurationError: Instance or check are impossible.
            RegistryUnavailable: The agent does not answer, or refuses; or the registry was closed.
        """
        require_registrable(instance, check)
        self._watches.require_open()
        service = json.dumps(service_of(instance, check))
        with self._changing:
            self._keeper.drop(instance.id)
            self._put_service(service)
            if check.url:
                every = min(check.interval, LONGEST_BEAT)
                beat = partial(self._keep_known, instance.id, service)
            else:
                every = min(check.interval / BEATS, LONGEST_BEAT)
                beat = partial(self._report, instance.id, service)
            self._keeper.keep(instance.id, every, beat)

    def deregister(self, instance_id: str) -> None:
        """See ``Registry``. It is not kept up any more, whether the agent could be told or not."""
        with self._changing:
            self._keeper.drop(instance_id)
            with self._asking("deregister an instance", "service:write"):
                try:
                    self._agent.service.deregister(escaped(instance_id))
                except self._base.ConsulException as error:
                    # Consul 1.8 answers 500 where there is none; 404 is taken for done.
                    if "Unknown service" not in str(error):
                        raise

    def find(self, component: str) -> tuple[Instance, ...]:
        """See ``Registry``."""
        return self._query(self._http(), component, 0, 0.0)[1]

    # -- what is registered --------------------------------------------------------------------

    def _http(self, patience: float | None = None) -> AgentHttp:
        return AgentHttp(self._address, self._timeout, patience=patience, wanted_by=type(self).__name__)

    @property
    def _agent(self) -> Any:
        return self._consul.Consul.Agent(agent(self._http(), self._token))

    def _headers(self) -> dict[str, str]:
        return {"X-Consul-Token": self._token} if self._token else {}

    def _put_service(self, service: str) -> None:
        with self._asking("register an instance", "service:write"):
            self._http().put(
                self._base.CB.bool(),
                "/v1/agent/service/register",
                params=[("replace-existing-checks", "true")],
                data=service,
                headers=self._headers(),
            )

    def _keep_known(self, instance_id: str, service: str) -> None:
        with self._asking("look for an instance", "service:read"):
            path = f"/v1/agent/service/{escaped(instance_id)}"
            known = self._http().get(self._is_known, path, headers=self._headers())
        if not known:
            self._put_again(instance_id, service)

    def _is_known(self, response: Any) -> bool:
        return response.code != 404 and bool(self._base.CB.bool()(response))

    def _report(self, instance_id: str, service: str) -> None:
        with self._asking("report an instance", "service:write"):
            try:
                known = self._agent.check.ttl_pass(check_id(instance_id))
            except self._base.ACLPermissionDenied:
                raise
            except self._base.ConsulException:
                # Consul 1.8 answers 500 to a report for a check that it does not know, later ones 404.
                known = False
        if not known:
            self._put_again(instance_id, service)

    def _put_again(self, instance_id: str, service: str) -> None:
        self._put_service(service)
        log.info("the agent had forgotten the instance %r, and is told again", instance_id)

    # -- what is found -------------------------------------------------------------------------

    def _follow(self, watch: Watch) -> None:
        # Consul adds up to a sixteenth of the wait, so that not all answers come at once.
        http = self._http(self._wait * 17 / 16 + self._timeout)
        watch.interrupt = http.interrupt
        queries = BlockingQueries(partial(self._query, http, watch.component), self._wait, self._grace)
        while not watch.ended:
            watch.pause(queries.step(watch))

    def _query(
        self, http: AgentHttp, component: str, index: int, wait: float
    ) -> tuple[int, tuple[Instance, ...]]:
        """The index of the answer, 0 where it has none, and all instances."""
        name = escaped(component)
        health = self._consul.Consul.Health(agent(http, self._token))
        with self._asking(f"find {component!r}", "service:read and node:read"):
            found, entries = health.service(name, index=index or None, wait=f"{round(wait * 1000)}ms")
            instances = tuple(filter(None, map(instance_of, entries or ())))
        return int(found) if str(found).isdecimal() else 0, instances

    @contextmanager
    def _asking(self, what: str, permission: str) -> Iterator[None]:
        """Word errors, without any of the token.

        Raises:
            RegistryUnavailable: The agent does not answer, or refuses.
        """
        _, host, port = self._address
        where = f"Consul at {host}:{port}"
        try:
            yield
        except (self._base.ACLPermissionDenied, self._base.ACLDisabled) as error:
            raise RegistryUnavailable(
                f"{where} refuses to {what} ({_shortened(error)}): the token needs {permission}"
            ) from error
        except self._base.ConsulException as error:
            raise RegistryUnavailable(f"{where} cannot {what}: {_shortened(error)}") from error
        except OSError as error:
            raise RegistryUnavailable(f"{where} does not answer: {_shortened(error)}") from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise RegistryUnavailable(f"{where} answers with what is no answer of Consul's") from error


def _shortened(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]
