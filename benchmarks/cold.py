"""What a cold start costs, in CPU: before the first invocation, in it, and in the second one. Prints ratios.

``python -m benchmarks.cold [ROUNDS]``. Lambda runs the first part at full speed, and the others at the share of a CPU
that the function's memory buys: in 512 MB that is about 0.3 of one. Each function is a process under AWS's runtime
interface client, and its AWS is moto. The measure is a handler that makes one boto3 client and reads one item.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapter.templates.template import FunctionSpec
from adapter.testing import LocalCloud
from adapter.testing.processes.environment import Environment
from adapter.testing.simulated_aws.gateway import Gateway

PLAIN = """
import os
import boto3

table = boto3.client("dynamodb")

def handler(event, context):
    table.get_item(TableName=os.environ["DURABLE_TABLE"], Key={"pk": {"S": "order-7"}, "sk": {"N": "-1"}})
"""

DURABLE = """
from adapter import durable

@durable(name="cold:handler")
def handler(event: dict) -> int:
    return 1
"""

PARTS = ("before the first invocation", "in the first", "in the second")
STILL_SECONDS = 0.3


def seconds_of(pid: int) -> float:
    """The CPU time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at_rest(pid: int) -> float:
    """The CPU time of a process, once it has had none for a while."""
    before = -1.0
    while before != (now := seconds_of(pid)) or not now:
        before = now
        time.sleep(STILL_SECONDS)
    return now


@contextmanager
def places() -> Iterator[tuple[dict[str, str], Path]]:
    """The variables of a function, and the directory of both handlers."""
    with LocalCloud() as cloud, tempfile.TemporaryDirectory() as directory:
        world = cloud._world
        clients = {"dynamodb": world.store.client, "sqs": world.sqs}  # type: ignore[union-attr]
        for name, code in (("plain", PLAIN), ("ours", DURABLE)):
            (Path(directory) / f"{name}.py").write_text(code, encoding="utf-8")
        with Gateway(clients, lambda function, payload: None, threading.Lock()) as gateway:
            yield (
                {
                    "AWS_ENDPOINT_URL": gateway.url,
                    "DURABLE_TABLE": world.table,
                    "DURABLE_TIMERS": cloud.template.timers_url,
                    "DURABLE_BUCKET": cloud.template.variable("DURABLE_BUCKET"),
                    "PYTHONPATH": os.pathsep.join([directory, *(place or str(Path.cwd()) for place in sys.path)]),
                },
                Path(directory),
            )


def parts(handler: str, variables: dict[str, str], directory: Path, number: int) -> list[float]:
    """The CPU seconds of each part, in a fresh process."""
    spec = FunctionSpec(
        logical_id="Cold",
        name="cold",
        handler=handler,
        memory_mb=512,
        timeout_s=60,
        environment={},
        max_retries=0,
    )
    environment = Environment(spec, variables, directory, number)
    try:
        marks = [0.0, at_rest(environment.pid)]
        for request in ("first", "second"):
            environment.call("{}", f"{request}-{number}")
            marks.append(at_rest(environment.pid))
    finally:
        environment.close()
    return [after - before for before, after in itertools.pairwise(marks)]


def measure(rounds: int, told: Callable[[str], object] = print) -> None:
    with places() as (variables, directory):
        found = {
            name: [parts(f"{name}.handler", variables, directory, number) for number in range(rounds)]
            for name in ("plain", "ours")
        }
    told(f"{'CPU seconds':<30}{'boto3 alone':>12}{'durable':>10}{'ratio':>8}")
    for part, what in enumerate(PARTS):
        plain, ours = (statistics.median(one[part] for one in found[name]) for name in ("plain", "ours"))
        told(f"{what:<30}{plain:>12.2f}{ours:>10.2f}{ours / plain if plain else float('inf'):>8.1f}")


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
