"""A table for the DynamoDB stores, made on a server of moto."""

from __future__ import annotations

from typing import Any

REGION = "eu-west-3"


def credentials() -> dict[str, str]:
    """An environment in which boto3 looks nowhere else, neither on disk nor on the network."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def create_table(port: int, name: str) -> Any:
    """Create a table as the documentation says; the client that did it."""
    import boto3

    client = boto3.session.Session("testing", "testing", region_name=REGION).client(
        "dynamodb", endpoint_url=f"http://127.0.0.1:{port}"
    )
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client
