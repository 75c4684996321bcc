"""Stores in a DynamoDB table, changed by conditional writes.

One table serves both: its partition key is the string ``id``, and its time-to-live attribute ``delete_at``.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from unimicro.errors import ConfigurationError, require
from unimicro.pipeline.ports import GRACE, IdempotencyRecord
from unimicro.stores.circuit_json import circuit_from_json, circuit_to_json
from unimicro.stores.settings import http_address, require_text, require_timeout

if TYPE_CHECKING:
    from unimicro.pipeline.ports import CircuitRecord

Item = dict[str, dict[str, Any]]
"""An item as the service speaks it: attribute to ``{type: value}``."""


class _DynamoDbStore:
    """What both stores are made of.

    Attributes:
        _kind: Part of every ``id``, so that both may share a table.
        _attempts: Of a request that gets no answer.
    """

    _kind: ClassVar[str]
    _attempts: ClassVar[int]

    def __init__(
        self,
        *,
        table: str,
        region: str | None = None,
        endpoint: str | None = None,
        prefix: str = "unimicro:",
        timeout: float = 1.0,
    ) -> None:
        client = _Client(type(self).__name__, region, endpoint, timeout, attempts=self._attempts)
        self._table = _Table(client, table, prefix, self._kind)


class DynamoDbBreakerStore(_DynamoDbStore):
    """Transitions of circuits in DynamoDB.

    Args:
        table: Name or ARN of the table.
        region: By default that of the environment, as for everything that uses boto3.
        endpoint: URL of another service that speaks the protocol; by default AWS.
        prefix: Of every ``id``.
        timeout: Seconds to wait for a connection, and for an answer.

    Raises:
        ConfigurationError: A setting is impossible.
        MissingExtra: The package boto3 is not installed.
    """

    _kind = "breaker:"
    # A second attempt would find the first one's change in its way.
    _attempts = 1

    def read(self, circuit: str) -> CircuitRecord | None:
        """See ``BreakerStore``.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: No answer within the timeout, or a refusal.
            ValueError: The record is none of ours.
        """
        item = self._table.get(circuit)
        return None if item is None else circuit_from_json(item["record"]["S"])

    def swap(self, circuit: str, record: CircuitRecord) -> bool:
        """See ``BreakerStore``; raises as ``read``."""
        item = {"version": {"N": str(record.version)}, "record": {"S": circuit_to_json(record)}}
        if record.version == 1:
            return self._table.put(circuit, item, "attribute_not_exists(#id)") is None
        before = {":before": {"N": str(record.version - 1)}}
        return self._table.put(circuit, item, "#version = :before", before) is None


class DynamoDbIdempotencyStore(_DynamoDbStore):
    """Keyed calls in DynamoDB, which forgets each some time after its end if the table's time to live is on.

    Arguments and errors are those of ``DynamoDbBreakerStore``. An answer is at most about 400 KB.
    """

    _kind = "idempotency:"
    _attempts = 2

    def claim(self, key: str, record: IdempotencyRecord, now: float) -> IdempotencyRecord | None:
        """See ``IdempotencyStore``.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: No answer within the timeout, or a refusal;
                whether the claim was written is unknown.
        """
        free = "attribute_not_exists(#id) OR #expires_at <= :now"
        held = self._table.put(key, _call_item(record), free, {":now": _number(now)})
        # With the same owner it is this claim, written by an attempt whose answer was lost.
        return None if held is None or held["owner"]["S"] == record.owner else _call_record(held)

    def complete(self, key: str, record: IdempotencyRecord, now: float) -> bool:
        """See ``IdempotencyStore``; raises as ``claim``."""
        owner = {":owner": {"S": record.owner}}
        return self._table.put(key, _call_item(record), "#owner = :owner", owner) is None

    def release(self, key: str, owner: str) -> None:
        """See ``IdempotencyStore``; raises as ``claim``."""
        self._table.delete(key, "#owner = :owner", {":owner": {"S": owner}})


def _call_item(record: IdempotencyRecord) -> Item:
    item: Item = {
        "fingerprint": {"S": record.fingerprint},
        "owner": {"S": record.owner},
        "expires_at": _number(record.expires_at),
        "delete_at": {"N": str(math.ceil(record.expires_at + GRACE))},
    }
    return item if record.answer is None else {**item, "answer": {"B": record.answer}}


def _call_record(item: Item) -> IdempotencyRecord:
    answer = item["answer"]["B"] if "answer" in item else None
    return IdempotencyRecord(
        item["fingerprint"]["S"], item["owner"]["S"], float(item["expires_at"]["N"]), answer
    )


def _number(value: float) -> dict[str, str]:
    # DynamoDB keeps 38 decimal digits: what repr writes comes back as the same float.
    return {"N": repr(float(value))}


class _Table:
    """The items of one kind in the table."""

    def __init__(self, client: _Client, table: str, prefix: str, kind: str) -> None:
        require_text(table=table, prefix=prefix)
        if not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}|arn:\S+", table):
            raise ConfigurationError(f"table must be the name or ARN of a DynamoDB table, got {table!r}")
        self._client = client
        self._table = table
        self._prefix = prefix + kind

    def get(self, key: str) -> Item | None:
        answer = self._client().get_item(**self._target(key), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def put(self, key: str, item: Item, condition: str, values: Item | None = None) -> Item | None:
        """Write; the item that is in the way (empty if there is none) where the condition does not hold."""
        client, target = self._client(), self._target(key)
        item = {**target.pop("Key"), **item}
        try:
            client.put_item(
                **target,
                **_condition(condition, values),
                Item=item,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except client.exceptions.ConditionalCheckFailedException as error:
            held: Item = error.response.get("Item", {})
            return held
        return None

    def delete(self, key: str, condition: str, values: Item) -> None:
        client = self._client()
        with suppress(client.exceptions.ConditionalCheckFailedException):
            client.delete_item(**self._target(key), **_condition(condition, values))

    def _target(self, key: str) -> dict[str, Any]:
        return {"TableName": self._table, "Key": {"id": {"S": self._prefix + key}}}


def _condition(condition: str, values: Item | None) -> dict[str, Any]:
    """Arguments of a conditional request; ``#name`` in it is an attribute, for some names are reserved."""
    names = {f"#{name}": name for name in re.findall(r"#(\w+)", condition)}
    arguments = {"ConditionExpression": condition, "ExpressionAttributeNames": names}
    return {**arguments, "ExpressionAttributeValues": values} if values else arguments


class _Client:
    """The client of this process, made on first use: its connections must not be carried into a fork."""

    def __init__(
        self, wanted_by: str, region: str | None, endpoint: str | None, timeout: float, attempts: int
    ) -> None:
        require_timeout(timeout)
        if region is not None and not (isinstance(region, str) and re.fullmatch(r"[a-z0-9-]+", region)):
            raise ConfigurationError(f"region must be the name of an AWS region, got {region!r}")
        if endpoint is not None and http_address(endpoint) is None:
            raise ConfigurationError("endpoint must be http://host:port or https://host:port")
        boto3 = require("boto3", "aws", wanted_by)
        botocore = require("botocore.config", "aws", wanted_by)
        # A session of its own: the default one is not made for threads.
        self._session = boto3.session.Session(region_name=region)
        if not self._session.region_name:
            raise ConfigurationError("region must be set, or AWS_DEFAULT_REGION in the environment")
        self._endpoint = endpoint
        retries = {"mode": "standard", "total_max_attempts": attempts}
        self._config = botocore.Config(connect_timeout=timeout, read_timeout=timeout, retries=retries)
        self._forget()

    def _forget(self) -> None:
        self._lock = Lock()
        self._client: Any = None
        self._process = os.getpid()

    def __call__(self) -> Any:
        if self._process != os.getpid():
            self._forget()
        with self._lock:
            if self._client is None:
                self._client = self._session.client(
                    "dynamodb", endpoint_url=self._endpoint, config=self._config
                )
            return self._client
