"""The Flask entry, over WSGI."""

from werkzeug.test import Client, EnvironBuilder

from unimicro.metadata import Metadata
from unimicro.testing.http_conformance import HttpDoorConformance, HttpReply


class TestFlask(HttpDoorConformance):
    def request(self, app, method, target, headers, body=b""):
        path, _, query = target.partition("?")
        builder = EnvironBuilder(path="/", query_string=query, method=method, headers=headers, data=body)
        environ = builder.get_environ()
        environ |= {"PATH_INFO": path, "REQUEST_URI": target, "RAW_URI": target}
        response = Client(app.wsgi).open(environ)
        return HttpReply(response.status_code, Metadata(list(response.headers)), response.data)
