"""From a JSON document to the model, with the extension of unimicro or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from unimicro_cli.pull.described import EXTENSION, read_described
from unimicro_cli.pull.foreign import read_foreign
from unimicro_cli.pull.reading import Node
from unimicro_cli.pull.unions import without_unreadable_unions

if TYPE_CHECKING:
    from unimicro_cli.pull.model import Model


def read_description(document: Any) -> Model:
    """What the OpenAPI document says.

    Raises:
        BadDescription: A member is not what it must be.
        click.ClickException: It is no such document, or describes no operation that can be called.
    """
    if not isinstance(document, dict) or not isinstance(document.get("openapi"), str):
        raise click.ClickException("what the server sent is no OpenAPI document")
    if not document["openapi"].startswith("3."):
        raise click.ClickException(
            f"OpenAPI {document['openapi'][:20]!r} is not understood, only 3.0 and 3.1"
        )
    node = Node(document, "")
    model = without_unreadable_unions(read_described(node) if EXTENSION in document else read_foreign(node))
    if not model.services:
        why = "".join(f"\n  left out: {line}" for line in model.left_out)
        raise click.ClickException(f"the description has no operation that can be called{why}")
    return model
