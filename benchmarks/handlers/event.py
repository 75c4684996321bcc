"""The event: API Gateway's HTTP API, payload version 2.0, with the headers that a browser sends.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/hello/world",
    "rawQueryString": "",
    "headers": {
        "accept": "application/json, text/plain, */*",
        "accept-encoding": "identity",
        "accept-language": "en-GB,en;q=0.9",
        "authorization": "Bearer token",
        "content-length": "0",
        "host": "abcdef1234.execute-api.eu-central-1.amazonaws.com",
        "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "x-amzn-trace-id": "Root=1-65f00000-0123456789abcdef01234567",
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    },
    "requestContext": {
        "accountId": "123456789012",
        "apiId": "abcdef1234",
        "domainName": "abcdef1234.execute-api.eu-central-1.amazonaws.com",
        "domainPrefix": "abcdef1234",
        "http": {
            "method": "GET",
            "path": "/hello/world",
            "protocol": "HTTP/1.1",
            "sourceIp": "203.0.113.9",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        },
        "requestId": "JKJaXmPLvHcESHA=",
        "routeKey": "$default",
        "stage": "$default",
        "time": "10/Mar/2026:10:00:00 +0000",
        "timeEpoch": 1773136800000,
    },
    "isBase64Encoded": False,
}


class Context:
    """What the handlers may ask of the runtime's context object."""

    function_name = "hello"
    function_version = "$LATEST"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:hello"
    aws_request_id = "8f5d2f4e-8a5b-4f0c-9c1e-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000
