"""Circuit records as JSON, the form in which every shared store keeps them."""

from __future__ import annotations

from unimicro.pipeline.ports import CircuitRecord
from unimicro.wire import from_json, to_json


def circuit_to_json(record: CircuitRecord) -> str:
    """An object with the record's attributes."""
    return to_json(record._asdict()).decode()


def circuit_from_json(text: bytes | str) -> CircuitRecord:
    """The record; members that another version of the library added are ignored, missing ones have defaults.

    Raises:
        ValueError: It is no such object.
    """
    import msgspec

    data = from_json(text)
    if not isinstance(data, dict):
        raise ValueError("the record of a circuit is no JSON object")
    members = {"state": None, "version": None, **CircuitRecord._field_defaults, **data}
    return msgspec.convert([members[name] for name in CircuitRecord._fields], CircuitRecord)
