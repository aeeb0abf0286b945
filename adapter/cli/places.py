"""Where the commands act: on the table that options and environment describe, or in the `LocalCloud` that is entered.

A failure is one line, whoever raised it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from adapter.cli import showing
from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.errors import ConfigurationError, DurableError
from adapter.protocol.variables import described

_HOST = "adapter.cli.host"


class Place(click.Group):
    """A group of commands that tell a failure in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DurableError as error:
            raise _said(str(error)) from None
        except Exception as error:
            text = _by_aws(error)
            if text is None:
                raise
            raise _said(text) from None


def _said(text: str) -> click.ClickException:
    return click.ClickException(showing.shown(" ".join(text.split())))


def _by_aws(error: Exception) -> str | None:
    """A failure of AWS, or on the way to it, in words; None for any other failure."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    if isinstance(error, NoCredentialsError):
        return "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if code == "ResourceNotFoundException" and error.operation_name != "Invoke":
            return (
                "there is no such table here: DURABLE_TABLE or --table has to be its name, in this account and region"
            )
        return str(error)
    return str(error) if isinstance(error, BotoCoreError) else None


def on_host(command: Callable[..., None]) -> Callable[..., None]:
    """A command that needs the table. Others, and the help of this one, need none."""

    @functools.wraps(command)
    def connected(*args: Any, **kwargs: Any) -> None:
        command(current_host(click.get_current_context()), *args, **kwargs)

    return connected


def current_host(ctx: click.Context) -> EngineHost:
    """The host of a command, which needs one from here on. It is left when the command ends."""
    host: EngineHost = ctx.meta.get(_HOST) or ctx.with_resource(_host(ctx.obj))
    ctx.meta[_HOST] = host
    return host


@contextmanager
def _host(place: dict[str, str]) -> Iterator[EngineHost]:
    """The host of the commands: an entered LocalCloud, or the one that environment and options describe."""
    if not place:
        try:
            found = hosts.current()
        except ConfigurationError:
            if described(os.environ).get("DURABLE_TABLE"):
                raise
            raise ConfigurationError("which table? Set DURABLE_TABLE to its name, or give --table") from None
        yield found
        return
    from adapter.aws.wiring import connect

    if "DURABLE_TABLE" not in {**described(os.environ), **place}:
        raise ConfigurationError("which table? Set DURABLE_TABLE to its name, or give --table")
    made = connect({**os.environ, **place})
    hosts.enter(made)
    try:
        yield made
    finally:
        hosts.leave(made)
