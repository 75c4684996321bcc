"""The channel ``local``."""

from contextlib import nullcontext

from unimicro.channels.client.manager import ServiceManager
from unimicro.testing.channel_conformance import ChannelConformance


class TestLocal(ChannelConformance):
    channel = "local"
    is_remote = False

    @classmethod
    def serving(cls, app):
        app.start()
        return nullcontext("")

    def manager(self, app, **options):
        options.pop("settings", None)
        return ServiceManager(app=app, **options)

    def proxy(self, manager, interface, address):
        return manager.get_service(interface, self.channel, name="kit")
