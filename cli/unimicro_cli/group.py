"""The group of commands: suggests the nearest one, and words what unimicro refuses."""

from __future__ import annotations

from typing import Any

import click


class CommandGroup(click.Group):
    """A group whose unknown commands name the nearest known one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            from unimicro.errors import nearest

            known = nearest(args[0], self.list_commands(ctx))
            raise click.UsageError(f"there is no command {args[0]!r}{known}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException:
            raise
        except Exception as error:
            from unimicro.errors import ConfigurationError

            if isinstance(error, ConfigurationError):
                raise click.ClickException(str(error)) from error
            raise
