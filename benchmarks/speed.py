"""How long executions take, in virtual time by published latencies of AWS, and what they cost, for each way of waking.

``python -m benchmarks.speed [WIDEST]``: 10,000 items by default. The same seed prints the same table. No number here is
of this machine: see `adapter.testing.latencies` for where they come from.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter import durable, run
from adapter.api.durable import Durable
from adapter.protocol.records import Record
from adapter.protocol.times import EPOCH, MILLISECOND, SECOND, Instant, Span
from adapter.templates.template import default_template
from adapter.testing import Latencies, LocalCloud
from adapter.testing.simulated_aws.environments import Environment, Environments

MODES: dict[str, dict[str, Any]] = {"stream": {}, "direct": {"wake": "direct"}, "linger": {"wake": "linger"}}
"""The ways of waking, by the options of `durable` that choose them."""

STEPS = 500
SLEEPS = 100
AT_ONCE = 1_000
WARM_UP = 10
"""So many steps at first aren't counted: they meet cold starts."""

clouds: list[LocalCloud] = []


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The same functions, each woken in one way."""

    sequence: Durable[[int], int]
    inline: Durable[[int], int]
    sleeper: Durable[[int], int]
    gathered: Durable[[int], int]
    mapped: Durable[[int], int]
    three: Durable[[], int]


def programs(mode: str, options: dict[str, Any]) -> Programs:
    def made(function: Callable[..., Any], target: str = "parents") -> Durable[..., Any]:
        return durable(name=f"speed:{mode}:{function.__name__}", target=target, **options)(function)

    step, body = made(_step, "steps"), made(_body, "bodies")

    async def sequence(n: int) -> int:
        return sum([await step(number) for number in range(n)])

    async def gathered(n: int) -> int:
        return sum(await asyncio.gather(*(body(number) for number in range(n))))

    async def mapped(n: int) -> int:
        return sum(await body.map(range(n)))

    async def three() -> int:
        return await step(await step(await step(0)))

    functions = {each.__name__: made(each) for each in (sequence, inline, sleeper, gathered, mapped, three)}
    return Programs(**functions)


def _step(number: int) -> int:
    return number


def _body(number: int) -> int:
    clouds[-1].elapse(1)
    return number


async def inline(n: int) -> int:
    return sum([await run(abs, number) for number in range(n)])


async def sleeper(n: int) -> int:
    for number in range(n):
        await asyncio.sleep(10)
        await run(abs, number)
    return n


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution: its records, in order, and what it cost."""

    own: Record
    children: Sequence[Record]
    dollars: float
    seconds: float
    writes: int


def played(function: Durable[..., int], *args: Any, template: Path | None = None, seed: int = 0) -> Run:
    with LocalCloud(
        seed, template=template or default_template(), engine="memory", verify=False, latencies=True
    ) as cloud:
        clouds[:] = [cloud]
        handle = function.start(*args)
        handle.result()
        # What is still under way is billed, too.
        cloud.advance(5)
        records = {record.id: record for record in cloud.records()}
        own = records[handle.id]
        children = [record for record in records.values() if record.id.startswith(f"{own.id}~")]
        children.sort(key=lambda record: record.created_at)
        seconds = (own.settled_at - own.created_at) / SECOND
        stats = cloud.stats
        return Run(own=own, children=children, dollars=stats.dollars, seconds=seconds, writes=stats.writes)


def percentiles(times: Sequence[int]) -> str:
    """p50 and p99, in milliseconds."""
    ordered = sorted(times)
    p50, p99 = (ordered[len(ordered) * share // 100] / MILLISECOND for share in (50, 99))
    return f"{p50:.0f} / {p99:.0f} ms"


def each_step(function: Durable[[int], int], n: int, writes: int) -> str:
    """From one step's beginning to the next one's. It costs so many ``writes``, or one more where a run arms."""
    once = played(function, n)
    assert writes * n <= once.writes - 2 <= (writes + 1) * n, f"{n} steps take {once.writes} writes"
    begun = [record.created_at for record in once.children] + [once.own.settled_at]
    times = [later - earlier for earlier, later in itertools.pairwise(begun)]
    return f"{percentiles(times[WARM_UP:])}, ${1e6 * once.dollars / n:.2f}"


def after_a_sleep(function: Durable[[int], int]) -> str:
    """From when a sleep is over until the code goes on, on a clock that is exact to the second."""
    once = played(function, SLEEPS)
    steps = [record for record in once.children if record.settled_at]
    late = [max(0, later.created_at - earlier.settled_at - 10 * SECOND) for earlier, later in itertools.pairwise(steps)]
    return f"{percentiles(late[WARM_UP:])}, ${1e6 * once.dollars / SLEEPS:.2f}"


def fan_out(function: Durable[[int], int], n: int) -> str:
    """How long it takes, and how many times what Lambda's scaling allows."""
    once = played(function, n)
    return f"{once.seconds:.1f} s ({once.seconds * SECOND / allowed(n):.2f}), ${1e6 * once.dollars / n:.2f}"


def together(function: Durable[[], int]) -> str:
    """Many executions that begin at one time: how many end in a second, and how long each takes."""
    with LocalCloud(template=default_template(), engine="memory", verify=False, latencies=True) as cloud:
        handles = [function.start() for _ in range(AT_ONCE)]
        for handle in handles:
            handle.result()
        cloud.advance(5)
        ids = {handle.id for handle in handles}
        roots = [record for record in cloud.records() if record.id in ids]
        times = [record.settled_at - record.created_at for record in roots]
        dollars = 1e6 * cloud.stats.dollars / AT_ONCE
        return f"{AT_ONCE * SECOND / max(times):.0f} in a second, {percentiles(times)}, ${dollars:.2f}"


def allowed(count: int, latencies: Latencies | None = None) -> Span:
    """How long so many bodies of a second take if nothing but cold starts and Lambda's scaling is in their way."""
    latencies = latencies or Latencies()
    clock = [EPOCH]
    environments = Environments(latencies, lambda: clock[0])
    running: list[tuple[Instant, int, Environment]] = []
    begun = 0
    while begun < count or running:
        while begun < count and environments.has_room("f"):
            environment = environments.take("f")
            cold = Span(round(latencies.cold.p50 * MILLISECOND) if environment.fresh else 0)
            environment.fresh = False
            heapq.heappush(running, (clock[0] + cold + SECOND, begun, environment))
            begun += 1
        made_at = environments.next_at("f") if begun < count else None
        clock[0] = running[0][0] if made_at is None else min(running[0][0], made_at)
        while running and running[0][0] <= clock[0]:
            environments.give_back(heapq.heappop(running)[2])
    return clock[0] - EPOCH


def rows(widest: int) -> list[tuple[str, Callable[[Programs], str]]]:
    sizes = [size for size in (10, 100, 1_000) if size <= widest]
    return [
        ("a sequential remote step: p50 / p99, $ per million", lambda made: each_step(made.sequence, STEPS, 2)),
        ("an inline step: p50 / p99, $ per million", lambda made: each_step(made.inline, STEPS, 1)),
        ("late after a sleep of 10 s: p50 / p99, $ per million", lambda made: after_a_sleep(made.sleeper)),
        *[(f"gather of {n} bodies of 1 s, $ per million bodies", _fan_out("gathered", n)) for n in sizes],
        *[(f"map of {n} bodies of 1 s, $ per million bodies", _fan_out("mapped", n)) for n in (*sizes[-1:], widest)],
        (f"{AT_ONCE} executions of three steps, $ per million executions", lambda made: together(made.three)),
    ]


def _fan_out(name: str, n: int) -> Callable[[Programs], str]:
    return lambda made: fan_out(getattr(made, name), n)


def main(widest: int) -> None:
    # The cloud keeps all that ever happened, and the collector would look at it again and again.
    gc.set_threshold(200_000, 20, 100)
    made = {mode: programs(mode, options) for mode, options in MODES.items()}
    print(f"| in virtual time | {' | '.join(made)} |")
    print("|---|" + "---|" * len(made))
    for name, measure in rows(widest):
        print(f"| {name} | {' | '.join(measure(each) for each in made.values())} |", flush=True)
    print("\nIn brackets: how many times what cold starts and Lambda's scaling allow.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
