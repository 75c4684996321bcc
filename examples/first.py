"""A stored value behind a token: ``Authorization: token``."""

from unimicro import App, Service, entry


class First(Service):
    """Stores one value."""

    def __init__(self, **kwargs: str) -> None:
        super().__init__(**kwargs)
        self.value = 0

    def token_authorizer(self, token: str) -> bool:
        return token == "token"

    @entry
    def get(self) -> str:
        """The stored value."""
        return f"Stored value {self.value}.\n"

    @entry
    def post(self, value: int | None = None) -> str:
        """Store a value."""
        self.value = value if value is not None else self.value
        return f"Value stored ({value}).\n"


app = App(First())
