"""What the channels that call by name have in common: ``dispatch-json``, ``dispatch-msgpack``, ``stream``."""

import pytest

from unimicro import App, Service, entry
from unimicro.channels.client.manager import ServiceManager
from unimicro.errors import NotFound
from unimicro.testing.serving import ServerThread


class Far(Service):
    @entry(no_auth=True)
    def get_star(self) -> int:
        raise NotFound("no star", details={"metres": 2**70})


@pytest.mark.parametrize(
    ("channel", "details"),
    [("dispatch-json", {"metres": 2**70}), ("dispatch-msgpack", None), ("stream", None)],
)
def test_details_that_the_wire_cannot_carry_do_not_hide_the_failure(channel, details):
    with (
        ServerThread(App(Far())) as server,
        ServiceManager() as manager,
        pytest.raises(NotFound, match="no star") as told,
    ):
        manager.get_service(Far, channel, address=server.address).get_star()
    assert told.value.failure.details == details
