"""The commands that get executions going again, or end them, one or many: fork, retry, resume, cancel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from adapter.cli import acting, showing
from adapter.cli.places import on_host
from adapter.cli.words import filtered
from adapter.engine.host import EngineHost
from adapter.links.values import HttpError, read_value
from adapter.protocol.ids import root_of
from adapter.protocol.standing import function_of
from adapter.steering import forking
from adapter.steering.bulk import Done, groups, in_turn
from adapter.steering.filters import Filter
from adapter.steering.finding import Search
from adapter.steering.forking import Forked
from adapter.steering.reading import Node, Reader

_MANY = (
    click.option("--every", is_flag=True, help="All that are in the state that the command is for."),
    click.option("--dry-run", is_flag=True, help="Only say how many, by function and error."),
    click.option("--yes", is_flag=True, help="Don't ask."),
    click.option("--rate", default=5.0, show_default=True, type=click.FloatRange(min=0.01), help="So many a second."),
)


def _many(*states: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options for a command that takes IDs, or else whatever a filter finds."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def checked(host: EngineHost, ids: tuple[str, ...], wanted: Filter, every: bool, **given: Any) -> None:
            if not ids and not every and wanted == Filter(states=states):
                raise click.UsageError("give an ID, or say which: --function, --error, --state and so on, or --every")
            command(host, ids=ids, wanted=wanted, **given)

        made: Callable[..., None] = filtered(states)(on_host(checked))
        for option in reversed(_MANY):
            made = option(made)
        return click.argument("ids", metavar="[ID]...", nargs=-1)(made)

    return decorate


@click.command()
@_many("paused", "late")
@click.option("--force", is_flag=True, help="Invoke each ID itself, whatever it does; a step may run twice.")
@click.option("--unpin", is_flag=True, help="From now on each ID and what is below follow the newest code.")
def resume(
    host: EngineHost,
    ids: tuple[str, ...],
    wanted: Filter,
    dry_run: bool,
    yes: bool,
    rate: float,
    force: bool,
    unpin: bool,
) -> None:
    """Invoke again whatever is paused or lost, of each ID and below it.

    It does no harm where nothing is wrong: a function that waits, or may be at work, is left alone. Without an ID it
    takes what the options find, by default what is paused or late, and asks before.
    """
    if ids and not dry_run:
        for promise in ids:
            _say(acting.resume(host, promise, force, unpin))
        return

    def act(promise: str) -> Done:
        return Done(said="\n".join(acting.resume(host, promise, force, unpin)))

    _steer(host, _chosen(host, ids, wanted), "resumed", act, dry_run=dry_run, yes=yes, rate=rate)


@click.command()
@_many("open")
def cancel(host: EngineHost, ids: tuple[str, ...], wanted: Filter, dry_run: bool, yes: bool, rate: float) -> None:
    """Cancel promises; their functions see CancelledError.

    Without an ID it takes the executions that the options find, and asks before.
    """
    if ids and not dry_run:
        for promise in ids:
            _say([acting.cancel(host, promise)])
        return

    def act(promise: str) -> Done:
        return Done(said=acting.cancel(host, promise))

    _steer(host, _chosen(host, ids, wanted), "cancelled", act, dry_run=dry_run, yes=yes, rate=rate)


@click.command()
@_many("failed")
@click.option("--stop-after", default=20, show_default=True, type=click.IntRange(0, 100), help="Percent that fail.")
@click.option("--compensated", is_flag=True, help="Also what went on after its failure, as a clean-up does.")
@click.option("--again", is_flag=True, help="Also what was retried before, and failed again.")
def retry(
    host: EngineHost,
    ids: tuple[str, ...],
    wanted: Filter,
    dry_run: bool,
    yes: bool,
    rate: float,
    stop_after: int,
    compensated: bool,
    again: bool,
) -> None:
    """Begin failed executions anew from where they failed.

    Each goes on as a new execution, which keeps what was settled, and makes the call that failed once more. Without an
    ID it takes what the options find, and asks before. It stops where more than a share of them fails again. Given
    twice, it begins none twice.
    """
    found = [node for node in _chosen(host, ids, wanted) if ids or again or not node.record.fork]

    def act(promise: str) -> Done:
        made = forking.retry(host, promise, compensated=compensated)
        return Done(said=_forked(promise, made), watched=made.id if made.begun else "")

    share = stop_after / 100
    _steer(host, found, "retried", act, dry_run=dry_run, yes=yes or bool(ids), rate=rate, stop_after=share)


@click.command()
@click.argument("promise", metavar="ID")
@click.option("--from", "start", metavar="PROMISE", required=True, help="It and what came later is made anew.")
@click.option("--with", "arguments", metavar="JSON", help="Other arguments of the execution, as an object.")
@click.option("--as", "new", metavar="NEW", default="", help="The new execution's id.")
@on_host
def fork(host: EngineHost, promise: str, start: str, arguments: str | None, new: str) -> None:
    """Begin a new execution that takes over what was settled in ID before PROMISE was made.

    The execution ID stays as it is. Given twice, the command begins the fork once.
    """
    if root_of(start) != root_of(promise):
        raise acting.Unfit(f"{start} is no promise of {promise}")
    made = forking.fork(host, start, args=None if arguments is None else _object(arguments), new=new)
    _say([_forked(promise, made)])


def _object(text: str) -> str:
    try:
        return read_value(text, {"type": "object"}, "the arguments")
    except HttpError as refusal:
        raise acting.Unfit(str(refusal)) from None


def _forked(promise: str, made: Forked) -> str:
    if not made.begun:
        return f"{promise} has gone on before, as {made.id}"
    taken = f"{made.settled:,} {'promise' if made.settled == 1 else 'promises'} taken over"
    return f"{promise} goes on as {made.id}: {taken}, {made.of} and what follows made anew"


def _chosen(host: EngineHost, ids: Sequence[str], wanted: Filter) -> list[Node]:
    reader = Reader(host)
    if ids:
        return [reader.tree(promise, 0, 1, False) for promise in ids]
    return [*Search(reader, wanted, errors=True).nodes()]


def _steer(
    host: EngineHost,
    found: Sequence[Node],
    done: str,
    act: Callable[[str], Done],
    *,
    dry_run: bool,
    yes: bool,
    rate: float,
    stop_after: float | None = None,
) -> None:
    """Say what would be done, ask, and do it with one after the other."""
    if not found:
        click.echo("no such executions")
        return
    if dry_run or not yes:
        click.echo(f"{len(found):,} executions {'would be' if dry_run else 'are to be'} {done}:")
        _say(f"{group.count:>7,}  {function_of(group.fn)}  {group.why}" for group in groups(found))
    if dry_run:
        return
    if not yes:
        click.confirm("Go on?", abort=True)
    _say(in_turn(host, [node.record.id for node in found], act, rate, stop_after))


def _say(lines: Any) -> None:
    for text in lines:
        for line in text.splitlines():
            click.echo(showing.shown(line))
