"""What a resume costs in a sandbox that doesn't know the execution: ``python -m benchmarks.replays [STEPS ...]``.

Each line is measured twice in one run: by records alone, as if there were no chapters, and as it is. First a sequence
of remote steps of which each resume is cold, with all units and all CPU time of its steps, those of the simulated cloud
included. Then one cold resume over so many settled promises; and beside it what the client of DynamoDB takes to read
the same answers, which a cloud in memory doesn't show.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
from botocore.parsers import create_parser

from adapter import durable, promise, resolve
from adapter.aws.chapters import to_chapter
from adapter.aws.chapters import to_item as chapter_item
from adapter.aws.items import to_item, to_record
from adapter.protocol import chapters
from adapter.protocol.ids import ROOT_ORDINAL
from adapter.testing import LocalCloud
from adapter.testing.stats import DOLLARS_PER_READ_UNIT, DOLLARS_PER_WRITE_UNIT

NEVER = 10**9
"""A chapter of so many promises is never written."""


@durable
def step(number: int) -> int:
    return number


@durable
async def sequence(n: int, waits: int = 0) -> int:
    total = sum([await step(number) for number in range(n)])
    for _ in range(waits):
        total += await promise(int)
    return total


@contextmanager
def never_warm() -> Iterator[LocalCloud]:
    with LocalCloud(engine="memory", verify=False) as cloud:
        cloud.service.function("durable").memory.size = 0
        yield cloud


def each_step(n: int) -> str:
    """What each step of a sequence takes."""
    with never_warm() as cloud:
        begun = time.process_time()
        cloud.run(sequence, n)
        took, stats = (time.process_time() - begun) / n * 1e3, cloud.stats
    dollars = (stats.read_units * DOLLARS_PER_READ_UNIT + stats.write_units * DOLLARS_PER_WRITE_UNIT) / n * 1e6
    return (
        f"{stats.read_units / n:.1f} read and {stats.write_units / n:.2f} write units, ${dollars:.2f} a million,"
        f" {took:.1f} ms"
    )


def one_resume(n: int) -> str:
    """What a cold resume takes over so many settled promises. The one before it was the first cold one."""
    with LocalCloud(engine="memory", verify=False) as cloud:
        handle = sequence.start(n, 2)
        cloud.drive()
        cloud.forget()
        resolve(f"{handle.id}~{n}", 0)
        cloud.drive()
        cloud.forget()
        cloud.stats.reset()
        resolve(f"{handle.id}~{n + 1}", 0)
        begun = time.process_time()
        handle.result()
        took, units = (time.process_time() - begun) * 1e3, cloud.stats.read_units
        told = list(cloud._world.chapters())
        last = max((record.ordinal for chapter in told for record in chapters.told_by(chapter)), default=ROOT_ORDINAL)
        read = [record for record in cloud.records() if not 0 <= record.ordinal <= last]
    reading = parsing([chapter_item(chapter) for chapter in told], [to_item(record) for record in read])
    return f"{units:.0f} read units, {took:.1f} ms, and {reading:.1f} ms to read the answers"


def _read(items: list[dict[str, Any]]) -> list[chapters.Chapter]:
    return [chapter for item in items if (chapter := to_chapter(item)) is not None]


def parsing(told: list[dict[str, Any]], records: list[dict[str, Any]]) -> float:
    """Milliseconds that botocore and the store take for the answers that have these items: the fastest of five."""
    shape = boto3.client("dynamodb", region_name="us-east-1").meta.service_model.operation_model("Query").output_shape
    parser = create_parser("json")
    body = json.dumps({"Items": [*told, *records]}, default=lambda raw: base64.b64encode(raw).decode()).encode()
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        found = parser.parse({"body": body, "headers": {}, "status_code": 200}, shape)["Items"]
        for chapter in _read(found[: len(told)]):
            chapters.told_by(chapter)
        for item in found[len(told) :]:
            to_record(item)
        best = min(best, (time.process_time() - begun) * 1e3)
    return best


def main(sizes: list[int]) -> None:
    each_step(10)
    print("| all resumes cold | by records alone | by chapters |")
    print("|---|---|---|")
    for name, measure in (("each of {n} steps", each_step), ("one resume after {n} steps", one_resume)):
        for n in sizes:
            with mock.patch.object(chapters, "LEAST", NEVER):
                plainly = measure(n)
            print(f"| {name.format(n=f'{n:,}')} | {plainly} | {measure(n)} |", flush=True)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [100, 1_000, 3_000])
