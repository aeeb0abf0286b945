"""What the model of latencies says about numbers that we choose: ``python -m benchmarks.choices [PICTURE]``.

The same seed prints the same table. ``docs/performance.svg`` is its picture.
"""

from __future__ import annotations

import contextlib
import gc
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import adapter.api.blocks
from adapter.protocol.times import SECOND
from adapter.templates.template import default_template
from adapter.testing import Latencies, LocalCloud
from benchmarks.speed import clouds, programs

INFRA = Path(__file__).resolve().parents[1] / "infra"
MADE = programs("choices", {})
ITEMS = 2_000
EXECUTIONS = 500


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A number that we choose, along it what is measured: ``points`` of choice, seconds, and dollars for a million."""

    title: str
    unit: str
    chosen: int
    points: Sequence[tuple[int, float, float]]


MAPPING = """            BatchSize: 100
            # No batching window: a function waits for every record.
            MaximumBatchingWindowInSeconds: 0
            ParallelizationFactor: !Ref ParallelizationFactor
"""
"""Of the stream, in ``infra/engine.yaml``."""


@contextlib.contextmanager
def changed(size: int = 100, window: int = 0, factor: int = 1) -> Iterator[Path]:
    """The library's templates, where the stream's mapping has other values."""
    values = {"BatchSize": size, "MaximumBatchingWindowInSeconds": window, "ParallelizationFactor": factor}
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(shutil.copytree(INFRA, Path(directory) / "infra"))
        text = (copy / "engine.yaml").read_text()
        assert text.count(MAPPING) == 1, "the stream's mapping is written otherwise by now"
        lines = "".join(f"            {name}: {value}\n" for name, value in values.items())
        (copy / "engine.yaml").write_text(text.replace(MAPPING, lines))
        yield copy / "durable.yaml"


def executions(template: Path, shards: int = 4) -> tuple[float, float]:
    """Seconds until the last of many executions of three steps has ended; dollars for a million of them."""
    latencies = Latencies(shards=shards)
    with LocalCloud(template=template, engine="memory", verify=False, latencies=latencies) as cloud:
        began = cloud.clock()
        for handle in [MADE.three.start() for _ in range(EXECUTIONS)]:
            handle.result()
        ended = max(record.settled_at for record in cloud.records())
        cloud.advance(5)
        return (ended - began) / SECOND, 1e6 * cloud.stats.dollars / EXECUTIONS


def a_map(block: int) -> tuple[float, float]:
    """Seconds of a map of bodies of a second, in blocks of so many; dollars for a million items."""
    usual, adapter.api.blocks.BLOCK = adapter.api.blocks.BLOCK, block
    try:
        with LocalCloud(template=default_template(), engine="memory", verify=False, latencies=True) as cloud:
            clouds[:] = [cloud]
            handle = MADE.mapped.start(ITEMS)
            handle.result()
            own = cloud.peek(handle.id)
            assert own is not None
            cloud.advance(5)
            return (own.settled_at - own.created_at) / SECOND, 1e6 * cloud.stats.dollars / ITEMS
    finally:
        adapter.api.blocks.BLOCK = usual


def curves() -> Iterator[Curve]:
    yield Curve(
        title=f"items of a block, in a map of {ITEMS:,} bodies of 1 s",
        unit="items",
        chosen=adapter.api.blocks.BLOCK,
        points=[(size, *a_map(size)) for size in (50, 100, 175, 250)],
    )
    for title, unit, chosen, name, choices, shards in (
        ("records of a batch", "records", 100, "size", (10, 100, 1_000), 1),
        ("seconds of a batching window", "s", 0, "window", (0, 1, 2), 4),
        ("ParallelizationFactor, one shard", "batches", 1, "factor", (1, 2, 4, 10), 1),
        ("ParallelizationFactor, four shards", "batches", 1, "factor", (1, 2, 4), 4),
    ):
        points = []
        for choice in choices:
            with changed(**{name: choice}) as template:
                points.append((choice, *executions(template, shards)))
        title = f"{title}: {EXECUTIONS:,} executions of three steps"
        yield Curve(title=title, unit=unit, chosen=chosen, points=points)


WIDTH, HEIGHT, LEFT, TOP = 230, 150, 46, 40


def picture(found: Sequence[Curve]) -> str:
    """The curves side by side, seconds upwards from zero; what is chosen is filled."""
    width = len(found) * (WIDTH + LEFT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT + 2 * TOP + 30}"'
        ' font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        *(part for number, curve in enumerate(found) for part in _panel(curve, LEFT + number * (WIDTH + LEFT))),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(curve: Curve, left: int) -> Iterator[str]:
    most = max(seconds for _, seconds, _ in curve.points)
    step = (WIDTH - 30) / (len(curve.points) - 1)
    places = [(left + 10 + step * at, TOP + HEIGHT * (1 - s / most)) for at, (_, s, _) in enumerate(curve.points)]
    head, _, rest = curve.title.partition(": ")
    bottom = TOP + HEIGHT
    yield f'<text x="{left}" y="14" font-weight="bold">{head}</text><text x="{left}" y="27">{rest}</text>'
    yield f'<path d="M{left} {TOP}V{bottom}H{left + WIDTH - 10}" fill="none" stroke="#888"/>'
    line = " ".join(f"{x:.0f},{y:.0f}" for x, y in places)
    yield f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>'
    for (x, y), (choice, seconds, dollars) in zip(places, curve.points, strict=True):
        fill = "#06c" if choice == curve.chosen else "white"
        yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{fill}" stroke="#06c"/>'
        yield f'<text x="{x:.0f}" y="{y - 8:.0f}" text-anchor="middle">{seconds:.2f} s</text>'
        yield f'<text x="{x:.0f}" y="{bottom + 14}" text-anchor="middle">{choice:,}</text>'
        yield f'<text x="{x:.0f}" y="{bottom + 28}" text-anchor="middle" fill="#666">${dollars:.2f}</text>'
    yield f'<text x="{left}" y="{bottom + 44}" fill="#666">{curve.unit}; dollars for a million</text>'


def main(path: str | None) -> None:
    gc.set_threshold(200_000, 20, 100)
    found = []
    print("| choice | seconds, $ for a million |")
    print("|---|---|")
    for curve in curves():
        found.append(curve)
        cells = [
            f"{'**' if choice == curve.chosen else ''}{choice:,} {curve.unit}: {seconds:.2f} s, ${dollars:.2f}"
            f"{'**' if choice == curve.chosen else ''}"
            for choice, seconds, dollars in curve.points
        ]
        print(f"| {curve.title} | {'; '.join(cells)} |", flush=True)
    if path is not None:
        Path(path).write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
