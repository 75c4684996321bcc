"""``unimicro client pull``: from the OpenAPI document of a live service to an interface module."""
