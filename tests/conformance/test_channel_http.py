"""The channels over HTTP."""

from unimicro.testing.channel_conformance import ChannelConformance


class TestDispatchJson(ChannelConformance):
    channel = "dispatch-json"


class TestDispatchMsgpack(ChannelConformance):
    channel = "dispatch-msgpack"


class TestRest(ChannelConformance):
    channel = "rest"
