"""The gateways in front of Lambda, as far as a test needs them: HTTP request → event, answer → HTTP reply.

Each refuses an answer that the real one would refuse.
"""

import base64
import re
from urllib.parse import parse_qsl, unquote

from unimicro.metadata import Metadata
from unimicro.testing.http_conformance import HttpReply

TEXT = re.compile(rb"[\x09\x0a\x0d\x20-\x7e]*")


def _body(body):
    if not body:
        return {"body": None, "isBase64Encoded": False}
    if TEXT.fullmatch(body):
        return {"body": body.decode(), "isBase64Encoded": False}
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _multi(pairs):
    values = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def http_v2(method, target, headers, body=b"", *, domain="a1.execute-api.eu-west-3.amazonaws.com"):
    path, _, query = target.partition("?")
    encoded = ".lambda-url." in domain
    raw_path = path if encoded else unquote(path)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "domainName": domain,
            "http": {"method": method, "path": raw_path},
            "stage": "$default",
        },
        **_body(body),
    }


def function_url(method, target, headers, body=b""):
    return http_v2(method, target, headers, body, domain="a1.lambda-url.eu-west-3.on.aws")


def rest_v1(method, target, headers, body=b""):
    path, _, query = target.partition("?")
    values = _multi(parse_qsl(query, keep_blank_values=True))
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers or None,
        "multiValueHeaders": {name: [value] for name, value in headers.items()} or None,
        "queryStringParameters": {name: given[-1] for name, given in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "requestContext": {"httpMethod": method, "path": "/test" + path, "stage": "test"},
        **_body(body),
    }


def http_v1(method, target, headers, body=b""):
    event = rest_v1(method, target, headers, body)
    return event | {"version": "1.0", "path": unquote(event["path"])}


def _alb(method, target):
    path, _, query = target.partition("?")
    pairs = [field.partition("=")[::2] for field in query.split("&") if field]
    return {"requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": method, "path": path}, pairs


def alb_single(method, target, headers, body=b""):
    event, pairs = _alb(method, target)
    return event | {"queryStringParameters": dict(pairs), "headers": headers, **_body(body)}


def alb_multi(method, target, headers, body=b""):
    event, pairs = _alb(method, target)
    fields = {name: [value] for name, value in headers.items()}
    return (
        event | {"multiValueQueryStringParameters": _multi(pairs), "multiValueHeaders": fields} | _body(body)
    )


SHAPES = {
    "v2": ({"statusCode", "headers", "body", "isBase64Encoded"}, {"cookies"}),
    "v1": ({"statusCode", "multiValueHeaders", "body", "isBase64Encoded"}, set()),
    "alb_single": ({"statusCode", "statusDescription", "headers", "body", "isBase64Encoded"}, set()),
    "alb_multi": ({"statusCode", "statusDescription", "multiValueHeaders", "body", "isBase64Encoded"}, set()),
}


def read(answer, shape):
    """The HTTP reply of an answer, whose keys and types must be exactly those of the shape."""
    required, optional = SHAPES[shape]
    assert required <= set(answer) <= required | optional
    assert type(answer["statusCode"]) is int
    assert type(answer["isBase64Encoded"]) is bool
    if "statusDescription" in answer:
        assert re.fullmatch(rf"{answer['statusCode']} \S.*", answer["statusDescription"])
    if "multiValueHeaders" in answer:
        assert all(type(values) is list for values in answer["multiValueHeaders"].values())
        pairs = [(name, value) for name, values in answer["multiValueHeaders"].items() for value in values]
    else:
        pairs = list(answer["headers"].items())
    pairs += [("set-cookie", cookie) for cookie in answer.get("cookies", [])]
    assert all(type(name) is str and type(value) is str for name, value in pairs)
    assert not any(char in name + value for name, value in pairs for char in "\r\n")
    body = answer["body"]
    assert type(body) is str
    raw = base64.b64decode(body, validate=True) if answer["isBase64Encoded"] else body.encode()
    return HttpReply(answer["statusCode"], Metadata(pairs), raw)
