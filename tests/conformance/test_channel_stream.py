"""The channel ``stream``."""

from unimicro.testing.channel_conformance import ChannelConformance


class TestStream(ChannelConformance):
    channel = "stream"
