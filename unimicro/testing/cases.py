"""Calls that the conformance kit makes through each door."""

from __future__ import annotations

from typing import Any

UNICODE = 'naïve café — "日本" 🦆\u2028\t\\ \x7f'

# Method of the kit, its arguments, its result as JSON carries it.
ECHOES: list[tuple[str, dict[str, Any], Any]] = [
    ("text", {"value": ""}, ""),
    ("text", {"value": "plain"}, "plain"),
    ("text", {"value": UNICODE}, UNICODE),
    ("integer", {"value": 0}, 0),
    ("integer", {"value": -(2**62)}, -(2**62)),
    ("number", {"value": 1.5}, 1.5),
    ("boolean", {"value": False}, False),
    ("boolean", {"value": True}, True),
    ("moment", {"value": "2026-02-03T04:05:06.000007Z"}, "2026-02-03T04:05:06.000007Z"),
    ("identity", {"value": "0b0a57c5-f013-426a-81a1-f8ffbfba21f0"}, "0b0a57c5-f013-426a-81a1-f8ffbfba21f0"),
    ("amount", {"value": "12.340"}, "12.340"),
    ("color", {"value": "blue"}, "blue"),
    ("optional", {}, {"value": None}),
    ("optional", {"value": None}, {"value": None}),
    ("optional", {"value": 3}, {"value": 3}),
    ("union", {"value": 3}, [3, "int"]),
    ("union", {"value": "3"}, ["3", "str"]),
    ("either_class", {"value": {"sku": "a"}}, "Line"),
    ("either_class", {"value": {"name": "a"}}, "Node"),
    ("literal", {"value": "b"}, "b"),
    ("numbers", {"value": []}, []),
    ("numbers", {"value": [3, 1, 2]}, [3, 1, 2]),
    ("unique", {"value": [2, 1, 2]}, [1, 2]),
    ("numbered", {"value": {"7": "a"}}, {"7": "a"}),
    ("mapping", {"value": {"a": 1, "ü": 2}}, {"a": 1, "ü": 2}),
    ("pair", {"value": [1, "a"]}, [1, "a"]),
    (
        "tree",
        {"value": {"name": "a", "children": [{"name": "b"}]}},
        {"name": "a", "children": [{"name": "b", "children": []}]},
    ),
    (
        "order",
        {
            "value": {
                "id": "0b0a57c5-f013-426a-81a1-f8ffbfba21f0",
                "placed": "2026-02-03T04:05:06Z",
                "lines": [{"sku": "x", "quantity": 2, "price": "9.90"}],
            }
        },
        {
            "id": "0b0a57c5-f013-426a-81a1-f8ffbfba21f0",
            "placed": "2026-02-03T04:05:06Z",
            "lines": [{"sku": "x", "quantity": 2, "price": "9.90"}],
            "note": None,
            "color": "red",
        },
    ),
    ("anything", {"value": {"a": [1, None, {"b": "c"}]}}, [{"a": [1, None, {"b": "c"}]}]),
    ("rest", {"a": 1, "b": [2]}, {"a": 1, "b": [2]}),
    ("get_sum", {"left": 40}, 42),
    ("get_sum", {"left": -1, "right": 1}, 0),
    ("nothing", {}, None),
    ("created", {}, {"id": 1}),
    ("open", {}, {"operation": "kit.open", "attempt": 1}),
]

# Method of the kit, arguments that do not fit it, the names that the failure lists.
WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("integer", {"value": "three"}, ["value"]),
    ("integer", {}, ["value"]),
    ("integer", {"value": 1, "other": 2}, ["other"]),
    ("integer", {"valeu": 1}, ["valeu", "value"]),
    ("color", {"value": "green"}, ["value"]),
    ("literal", {"value": "c"}, ["value"]),
    ("tree", {"value": {"name": "a", "children": [{"name": 1}]}}, ["value.children[0].name"]),
    ("order", {"value": {"id": "x"}}, ["value.id"]),
    ("get_sum", {"left": "x"}, ["left"]),
    ("nothing", {"surprise": 1}, ["surprise"]),
]
