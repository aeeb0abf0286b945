"""What options of the commands say: lengths of time, and filters of executions."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import click

from adapter.protocol.times import DAY, HOUR, MINUTE, SECOND, Span
from adapter.steering.filters import OPEN, STATES, Filter

_UNITS = {"s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
_LENGTH = re.compile(r"([0-9]{1,6}) ?(s|min|h|d)")


class Length(click.ParamType):  # type: ignore[type-arg]
    """A length of time: 30s, 15min, 3h, 2d."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Span:
        found = _LENGTH.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time: 30s, 15min, 3h and 2d are", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


def filtered(states: tuple[str, ...] = (OPEN,)) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options that make a filter, which the command gets as ``wanted``. ``states`` are those it asks for by itself."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_filter(*args: Any, **kwargs: Any) -> None:
            given = {name: kwargs.pop(name) for name in ("state", "function", "tag", "older", "younger", "error")}
            command(*args, wanted=_filter(given, states), **kwargs)

        for option in reversed(_OPTIONS):
            with_filter = option(with_filter)
        return with_filter

    return decorate


_OPTIONS = (
    click.option("--state", "-s", multiple=True, type=click.Choice(STATES), help="In this state; give several."),
    click.option("--function", "-f", metavar="NAME", multiple=True, help="Of this function; * is anything."),
    click.option("--tag", "-t", metavar="NAME[=VALUE]", multiple=True, help="With this tag."),
    click.option("--older", type=Length(), help="Begun so long ago at least: 30s, 15min, 3h, 2d."),
    click.option("--younger", type=Length(), help="Begun so long ago at most."),
    click.option("--error", metavar="TEXT", default="", help="With this in the error, or in the reason of a pause."),
)


def _filter(given: dict[str, Any], states: tuple[str, ...]) -> Filter:
    return Filter(
        states=given["state"] or states,
        functions=given["function"],
        tags=dict(tag.partition("=")[::2] for tag in given["tag"]),
        older=given["older"],
        younger=given["younger"],
        error=given["error"],
    )
