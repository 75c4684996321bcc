"""The smallest service: one entry, open to everyone."""

from unimicro import App, Service, entry


class Hello(Service):
    """Says hello."""

    @entry(no_auth=True)
    def get(self) -> str:
        """A greeting."""
        return "Hello world.\n"


app = App(Hello())
