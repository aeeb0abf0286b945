"""The commands that take executions out as files, and replay them by code to be deployed. They change nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from adapter.aws.sealing import Sealing, cipher_named
from adapter.cli import showing
from adapter.cli.adopting import written as by_template
from adapter.cli.places import current_host, on_host
from adapter.cli.retracing import Code, Retracing, together
from adapter.engine.host import EngineHost
from adapter.errors import ConfigurationError, UnknownPromise
from adapter.protocol.variables import described
from adapter.steering import recordings
from adapter.steering.checking import Retraced
from adapter.steering.filters import Filter
from adapter.steering.finding import Search
from adapter.steering.reading import Reader
from adapter.steering.recordings import Recording
from adapter.templates.intrinsics import open_stack
from adapter.templates.template import STACK_NAME


@click.command()
@click.argument("promise", metavar="ID")
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(path_type=Path), help="The file.")
@click.option("--redact", is_flag=True, help="Without arguments, outcomes and tags: to be read, not replayed.")
@click.option("--decrypt", is_flag=True, help="With what is encrypted as plain text. By default it stays encrypted.")
@on_host
def export(host: EngineHost, promise: str, output: Path, redact: bool, decrypt: bool) -> None:
    """Write the execution of ID to a file, with all its promises.

    Arguments and outcomes are in it, and may be secret. durable check FILE and replay_file(FILE) replay it.
    """
    found = recordings.recorded(host, promise, opened=decrypt and not redact)
    output.write_text(recordings.written(recordings.redacted(found) if redact else found), encoding="utf-8")
    click.echo(showing.shown(f"{output}: {found.root.id}, {len(found.records):,} promises"))


@click.command()
@click.argument("which", metavar="[ID|FILE]...", nargs=-1)
@click.option("--open", "everything", is_flag=True, help="All executions of the table that aren't settled.")
@click.option("--template", default="template.yaml", type=click.Path(path_type=Path), help="Its handlers are the code.")
@click.option("--code", metavar="DIR", type=click.Path(path_type=Path), help="The code; by default each CodeUri.")
@click.option("--import", "modules", metavar="MODULE", multiple=True, help="The code's module, in place of a template.")
@click.option("--values", is_flag=True, help="Show arguments that differ; they may be secret.")
@click.pass_context
def check(
    ctx: click.Context,
    which: tuple[str, ...],
    everything: bool,
    template: Path,
    code: Path | None,
    modules: tuple[str, ...],
    values: bool,
) -> None:
    """Replay executions by the code here, before it is deployed: which of them would drift?

    Nothing is performed: no call, no step. It ends with 1 if any would drift. The code is imported in a process of its
    own for each directory.
    """
    if not which and not everything:
        raise click.UsageError("give the ID of an execution, a FILE of durable export, or --open")
    codes = [Code(directory=code or Path(), modules=modules)] if modules else _codes(template, code)
    count = drifting = 0
    with contextlib.ExitStack() as stack:
        retracings = [stack.enter_context(Retracing(one)) for one in codes]
        for recording in _recordings(ctx, which, everything):
            found = together([each.retrace(recording) for each in retracings])
            count += 1
            drifting += any(one.drift for one in found)
            for line in _said(recording, found, values):
                click.echo(showing.shown(line))
    click.echo(f"{count:,} executions replayed, {drifting:,} would drift")
    if drifting:
        raise click.exceptions.Exit(1)


def _said(recording: Recording, found: Sequence[Retraced], values: bool) -> Iterator[str]:
    drifts = [one for one in found if one.drift]
    if not drifts:
        asks = f"; next it would ask for {found[0].asks}" if found and found[0].asks else ""
        yield f"{recording.root.id}  {recording.root.fn}  fits{asks}"
    for one in drifts:
        yield f"{recording.root.id}  {recording.root.fn}  drifts: {one.brief}"
        if values:
            yield from one.drift.splitlines()


def _codes(template: Path, code: Path | None) -> list[Code]:
    """The code of a template's Lambdas, by directory."""
    found: dict[str, Code] = {}
    for setup in by_template.setups(open_stack(template, name=STACK_NAME)):
        directory = str(code or setup.code)
        if setup.handler and directory:
            module = setup.handler.rpartition(".")[0].replace("/", ".")
            known = found.get(directory, Code(directory=Path(directory), modules=()))
            names = tuple(dict.fromkeys((*known.modules, module)))
            environment = {**known.environment, **setup.environment}
            found[directory] = Code(directory=known.directory, modules=names, environment=environment)
    if not found:
        raise ConfigurationError(f"{template} has no Lambda with code: name the code with --import MODULE")
    return [*found.values()]


def _recordings(ctx: click.Context, which: Sequence[str], everything: bool) -> Iterator[Recording]:
    sealing = Sealing(None, cipher_named(described(os.environ).get("DURABLE_CIPHER", "")))
    for one in which:
        if Path(one).is_file():
            yield recordings.read(Path(one).read_text(encoding="utf-8"), sealing, one)
        else:
            yield recordings.recorded(current_host(ctx), one)
    if everything:
        host = current_host(ctx)
        for node in Search(Reader(host), Filter()).nodes():
            # One that has been removed since is no loss.
            with contextlib.suppress(UnknownPromise):
                yield recordings.recorded(host, node.record.id)
