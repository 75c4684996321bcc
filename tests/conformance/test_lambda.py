"""The Lambda door: every payload family of HTTP events, and direct invocation."""

from abc import abstractmethod

from tests.lambda_adapter import gateways
from tests.lambda_adapter.service import Context
from unimicro.outcome import Right
from unimicro.testing.conformance import DoorConformance, read_problem
from unimicro.testing.http_conformance import HttpDoorConformance


class LambdaHttp(HttpDoorConformance):
    shape: str

    @abstractmethod
    def event(self, method, target, headers, body): ...

    def request(self, app, method, target, headers, body=b""):
        event = self.event(method, target, headers, body)
        return gateways.read(app.lambda_handler(event, Context(remaining=600_000)), self.shape)


class TestHttpApiV2(LambdaHttp):
    shape = "v2"
    event = staticmethod(gateways.http_v2)


class TestFunctionUrl(LambdaHttp):
    shape = "v2"
    event = staticmethod(gateways.function_url)


class TestRestV1(LambdaHttp):
    shape = "v1"
    event = staticmethod(gateways.rest_v1)


class TestHttpApiV1(LambdaHttp):
    shape = "v1"
    event = staticmethod(gateways.http_v1)


class TestAlbSingle(LambdaHttp):
    shape = "alb_single"
    event = staticmethod(gateways.alb_single)


class TestAlbMulti(LambdaHttp):
    shape = "alb_multi"
    event = staticmethod(gateways.alb_multi)


class TestDirectInvocation(DoorConformance):
    limits_body = False

    def exchange(self, app, call):
        event = {"operation": call.operation, "kwargs": call.kwargs, "headers": call.headers}
        return self.invoke(app, event)

    def invoke(self, app, event):
        self.answer = answer = app.lambda_handler(event, Context(remaining=600_000))
        if answer["exception"] is None:
            assert set(answer) == {"result", "exception"}
            return Right(answer["result"])
        assert set(answer) == {"result", "exception", "failure"}
        return read_problem(answer["failure"])

    def send_malformed(self, app):
        return self.invoke(app, ["no", "event"])
