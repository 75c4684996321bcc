"""HTTP without a transport: what ``app.test_client()`` uses."""

from unimicro.testing.http_conformance import HttpDoorConformance, HttpReply


class TestHttp(HttpDoorConformance):
    def request(self, app, method, target, headers, body=b""):
        path, _, query = target.partition("?")
        result = app.test_client().open(method, path, query=query, headers=headers, data=body)
        return HttpReply(result.status_code, result.headers, result.data)
