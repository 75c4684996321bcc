"""The token of the environment: what protects a service that has no authorizer of its own."""

from __future__ import annotations

import hmac
import os


def is_environment_token(token: str) -> bool:
    """Whether ``token`` equals the environment variable ``TOKEN``; without the variable, none does.

    The variable is read at each call, so that a rotation or a test may set it. The comparison takes the
    same time wherever the two differ.
    """
    try:
        expected = os.environ["TOKEN"]
    except KeyError:
        return False
    return bool(expected) and hmac.compare_digest(token.encode(), expected.encode())
