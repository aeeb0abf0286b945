"""The commands that find executions: a list in pages, and counts. They change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import click

from adapter.cli import showing
from adapter.cli.places import on_host
from adapter.cli.words import filtered
from adapter.engine.host import EngineHost
from adapter.steering.filters import ANY, Filter
from adapter.steering.finding import counts, page
from adapter.steering.reading import Reader


@click.command("list")
@filtered()
@click.option("--all", "everything", is_flag=True, help="In any state, as long as the index has them.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="So many at most.")
@click.option("--after", metavar="PLACE", default="", help="What follows a former page, which says its PLACE.")
@click.option("--newest", is_flag=True, help="The newest first.")
@click.option("--messages", is_flag=True, help="Messages of errors, too; they may be secret.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each.")
@click.option("--watch", metavar="SECONDS", type=click.FloatRange(min=1), help="List them again and again.")
@on_host
def list_(
    host: EngineHost,
    wanted: Filter,
    everything: bool,
    limit: int,
    after: str,
    newest: bool,
    messages: bool,
    as_json: bool,
    watch: float | None,
) -> None:
    """List executions, oldest first: those that aren't settled, or what the options ask for.

    It goes by the index, and reads no record that the index rules out. One that began, or settled, a few seconds ago
    may be missing. One that had a deadline, and succeeded, has left the index.
    """
    wanted = replace(wanted, states=(ANY,)) if everything else wanted

    def show() -> None:
        reader = Reader(host)
        found = page(reader, wanted, limit, after, newest=newest, errors=True)
        if as_json:
            for node in found.nodes:
                click.echo(showing.line(node, messages))
        elif found.nodes:
            showing.put(showing.listing(found.nodes, reader.now, messages))
        else:
            click.echo("nothing runs: every execution is settled" if wanted == Filter() else "no such executions")
        if found.left:
            what = f"{found.left:,} more" if wanted.by_index else f"{found.left:,} more were not looked at"
            click.echo(showing.shown(f"and {what}: --after '{found.after}'"), err=True)
        for text in found.unreadable:
            click.echo(showing.shown(f"left out: {text}"), err=True)

    _again_and_again(host, show, watch)


def _again_and_again(host: EngineHost, show: Callable[[], None], every: float | None) -> None:
    show()
    while every is not None:
        host.pass_time(every)
        click.clear()
        show()


@click.command()
@filtered(states=(ANY,))
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each function and state.")
@on_host
def count(host: EngineHost, wanted: Filter, as_json: bool) -> None:
    """Count executions by function and state.

    The index alone tells, unless a state like paused or late, a tag or an error is asked for: then it takes a read of
    each record that may match.
    """
    found = counts(Reader(host), wanted)
    if as_json:
        for one in found:
            click.echo(json.dumps(asdict(one)))
    elif found:
        showing.put(showing.tally(found))
    else:
        click.echo("no such executions")
