"""The commands. Each says what it found or did. A command that fails says so in one line, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from adapter.cli import acting, checking, finding, mending, moving, redriving, showing, timelines
from adapter.cli.adopting.setups import Finding
from adapter.cli.places import Place, on_host
from adapter.engine.host import EngineHost
from adapter.steering.reading import Reader


@click.group(cls=Place, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--table", metavar="NAME", help="The promises' table; by default DURABLE_TABLE.")
@click.option("--region", metavar="NAME", help="Its AWS region; by default AWS_REGION, or the profile's.")
@click.pass_context
def durable(ctx: click.Context, table: str | None, region: str | None) -> None:
    """Look at durable executions, and settle, cancel or resume them.

    The table, the bucket and the cipher are those of the Lambdas' environment: DURABLE_TABLE, DURABLE_BUCKET,
    DURABLE_CIPHER. An ID is an execution's, or that of any promise in it: order-7, order-7~0, order-7~0.2.
    """
    given = {"DURABLE_TABLE": table, "AWS_REGION": region}
    ctx.obj = {name: value for name, value in given.items() if value}


@durable.command()
@click.argument("promise", metavar="ID")
@click.option("--depth", default=3, show_default=True, type=click.IntRange(0, 100), help="Levels below it.")
@click.option("--width", default=10, show_default=True, type=click.IntRange(min=1), help="Promises of each function.")
@click.option("--values", is_flag=True, help="Arguments and outcomes, too; they may be secret.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@on_host
def show(host: EngineHost, promise: str, depth: int, width: int, values: bool, as_json: bool) -> None:
    """Show a promise, those below it, and how each stands."""
    reader = Reader(host)
    node = reader.tree(promise, depth, width, values)
    if as_json:
        click.echo(json.dumps(showing.as_json(node), indent=2))
    else:
        showing.put(showing.tree(node, reader.now))


@durable.command()
@click.argument("promise", metavar="ID")
@click.option("--output", "-o", metavar="FILE", type=click.Path(path_type=Path), help="By default ID.html.")
@click.option("--no-payloads", is_flag=True, help="Without arguments, outcomes and the messages of errors.")
@click.option("--decrypt", is_flag=True, help="Also what is encrypted, or in the bucket: one more read for each.")
@click.option("--limit", default=10_000, show_default=True, type=click.IntRange(min=1), help="So many promises, about.")
@click.option("--log-group", metavar="NAME", help="Of the Lambdas: the page then links to CloudWatch.")
@on_host
@click.pass_context
def timeline(
    ctx: click.Context,
    host: EngineHost,
    promise: str,
    output: Path | None,
    no_payloads: bool,
    decrypt: bool,
    limit: int,
    log_group: str | None,
) -> None:
    """Write a page that shows what happened when, below ID and to itself.

    It is one HTML file, which needs nothing else. Arguments and outcomes get into it as the table has them, so who may
    see the page may see them: --no-payloads leaves them out. Each function below ID costs a query.
    """
    from adapter.timeline.page import page

    logs = {"region": timelines.region_of(ctx.obj), "group": log_group or ""}
    made = timelines.timeline(host, promise, limit, decrypt, logs)
    file = output or timelines.file_named(promise)
    size = timelines.written(file, page(made, payloads=not no_payloads))
    click.echo(showing.shown(f"{file}: {len(made.rows):,} promises, {max(1, size // 1000):,} KB"))
    if made.left_out:
        click.echo(f"what {made.left_out:,} functions called wasn't read: --limit {2 * limit}", err=True)


@durable.command()
@click.argument("promise", metavar="ID")
@click.argument("value", metavar="JSON")
@on_host
def resolve(host: EngineHost, promise: str, value: str) -> None:
    """Settle a promise with a value, checked against its type."""
    click.echo(showing.shown(acting.resolve(host, promise, value)))


@durable.command()
@click.argument("promise", metavar="ID")
@click.argument("message")
@on_host
def reject(host: EngineHost, promise: str, message: str) -> None:
    """Settle a promise with an error, a RuntimeError."""
    click.echo(showing.shown(acting.reject(host, promise, message)))


@durable.command()
@click.option("--dry-run", is_flag=True, help="Only list them.")
@on_host
def redrive(host: EngineHost, dry_run: bool) -> None:
    """Send again the stream records that wait for a person.

    The queues are those of DURABLE_UNHANDLED and DURABLE_AGAIN.
    """
    for line in redriving.redrive(host, dry_run):
        click.echo(showing.shown(line))


@durable.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--undo", is_flag=True, help="Take back the move of OLD.")
@on_host
def move(host: EngineHost, old: str | None, new: str | None, undo: bool) -> None:
    """Find the Lambda OLD under the name NEW, once there is no OLD any more.

    Executions remember the names of their Lambdas: this is for one that was renamed. Without arguments, list the moves.
    """
    for line in _moved(host, old, new, undo):
        click.echo(showing.shown(line))


def _moved(host: EngineHost, old: str | None, new: str | None, undo: bool) -> Iterable[str]:
    if old is None and not undo:
        return moving.listed(host)
    if old is None or (new is None) is not undo:
        raise click.UsageError("give OLD and NEW, or OLD and --undo, or nothing")
    return [moving.undo(host, old)] if new is None else moving.move(host, old, new)


@durable.command("rotate-keys")
@click.option("--drop", is_flag=True, help="Refuse what other keys signed, from now on: one of them is known.")
@on_host
def rotate_keys(host: EngineHost, drop: bool) -> None:
    """Sign the messages between Lambdas by another key.

    With --drop, messages under way are refused; the watchdog makes them again.
    """
    click.echo(acting.rotate_keys(host, drop))


@durable.command()
@click.argument("name", required=False, type=click.Path(path_type=Path))
@click.option("--into", metavar="TEMPLATE", type=click.Path(path_type=Path), help="Show what to add to a template.")
def init(name: Path | None, into: Path | None) -> None:
    """Make a small application in a new directory NAME: template, functions, tests, CI.

    With --into, make nothing, and show what to add to a template that exists.
    """
    from adapter.cli.adopting import creating
    from adapter.cli.adopting.into import additions

    if (name is None) is (into is None):
        raise click.UsageError("give the NAME of a new application, or --into and the path of a template")
    for line in additions(into) if into else creating.create(Path(name or "")):
        click.echo(line)


@durable.command()
@click.argument("template", default="template.yaml", type=click.Path(path_type=Path))
@click.option("--code", metavar="DIR", type=click.Path(path_type=Path), help="The code; by default each CodeUri.")
@click.option("--no-code", is_flag=True, help="Look at the template only: import no handler.")
@click.option("--parameter", "-p", "parameters", metavar="NAME=VALUE", multiple=True, help="Of the template.")
def lint(template: Path, code: Path | None, no_code: bool, parameters: tuple[str, ...]) -> None:
    """Check a template against what its durable functions need.

    It says how to mend each finding, and ends with 1 if there are any. It imports the handlers, each in a process of
    its own, and asks nothing of AWS.
    """
    from adapter.cli.adopting.linting import findings

    given = dict(each.partition("=")[::2] for each in parameters)
    _tell(findings(template, code=code, look_at_code=not no_code, parameters=given), str(template))


@durable.command()
@click.option("--stack", metavar="NAME", required=True, help="The application's stack.")
@click.pass_obj
def doctor(place: dict[str, str], stack: str) -> None:
    """Look for what is wrong with a deployed stack.

    It says how to mend each finding, and ends with 1 if there are any. It only reads: Lambdas and what invokes them,
    their roles, queues, alarms and the table.
    """
    import boto3

    from adapter.cli.adopting import doctoring
    from adapter.cli.adopting.account import Account, CloudFormation

    session = boto3.Session(region_name=place.get("AWS_REGION"))
    _tell(doctoring.findings(stack, CloudFormation(session.client("cloudformation")), Account(session.client)), stack)


def _tell(found: Sequence[Finding], of: str) -> None:
    for each in found:
        click.echo("\n".join(showing.shown(line) for line in str(each).splitlines()))
    if found:
        raise click.exceptions.Exit(1)
    click.echo(f"{of} has all that its durable functions need")


@durable.command()
@click.argument("directory", default="durable", type=click.Path(path_type=Path))
def infra(directory: Path) -> None:
    """Make an application's copy of the library's templates, or renew it.

    Do so after each upgrade of the library. The copy is in DIRECTORY, by default durable.
    """
    from adapter.cli.adopting.creating import renew

    for line in renew(directory):
        click.echo(showing.shown(line))


for command in (
    *(finding.list_, finding.count, checking.export, checking.check),
    *(mending.resume, mending.cancel, mending.retry, mending.fork),
):
    durable.add_command(command)
