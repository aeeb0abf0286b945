"""Many seeds, played and counted; failures, made smaller and told."""

from __future__ import annotations

import functools
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from adapter.testing import Faults
from tests.faults.chaos.checker import expected, violations
from tests.faults.chaos.programs import constructs_of, program, text
from tests.faults.chaos.shrinking import Failure, shrunk
from tests.faults.chaos.trial import Weather, play, weather

CHUNK = 25
"""Seeds per process: suspended coroutines are kept until a process ends."""


@dataclass
class Found:
    """What some seeds came to. ``latent``: programs whose result depends on latencies; they weren't played."""

    seeds: int = 0
    latent: int = 0
    failures: dict[int, Failure] = field(default_factory=dict)
    constructs: Counter[str] = field(default_factory=Counter)
    weathers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, other: Found) -> None:
        self.seeds += other.seeds
        self.latent += other.latent
        self.failures |= other.failures
        self.constructs += other.constructs
        self.weathers += other.weathers
        self.faults += other.faults

    def __str__(self) -> str:
        counts = {"programs by construct": self.constructs, "weathers": self.weathers, "faults drawn": self.faults}
        lines = [f"{self.seeds} seeds, {self.latent} left out since latencies decide, {len(self.failures)} failures"]
        lines += [
            f"  {what}: {', '.join(f'{count} {name}' for name, count in counted.most_common())}"
            for what, counted in counts.items()
        ]
        return "\n".join(lines)


def search(seeds: range, faults: Faults | None = None) -> Found:
    """Play each seed's program in its weather, in this process."""
    found = Found()
    for seed in seeds:
        found.seeds += 1
        drawn, sky = program(seed), weather(seed)
        if faults is not None:
            sky = replace(sky, faults=faults, outages=(), concurrency=None, meanwhile=0.0, latencies=False)
        plain = expected(drawn)
        if plain is None:
            found.latent += 1
            continue
        played = play(drawn, sky)
        # The removal of all that is over draws faults, too.
        broken = violations(played, plain)
        found.constructs.update(set(constructs_of(drawn)))
        found.weathers[kind_of(sky)] += 1
        found.faults.update(played.cloud.dice.drawn)
        found.faults.update(f"outage: {window.kind}" for window in sky.outages)
        found.faults.update(meanwhile=played.cloud.others.happened, throttled=played.cloud.throttled)
        found.faults.update(deadline=sky.deadline)
        if broken:
            found.failures[seed] = Failure(drawn, sky, tuple(broken))
    return found


def kind_of(sky: Weather) -> str:
    """Its faults by name; outages of whatever kinds are one."""
    names = [part.partition("=")[0] for part in str(replace(sky, outages=())).split(",")]
    named = [name for name in names if name != "calm" or not sky.outages]
    return "+".join([*named, *(["outages"] if sky.outages else [])])


def parallel(seeds: range, faults: Faults | None, jobs: int) -> Iterator[Found]:
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    # Not an executor's `max_tasks_per_child`: in Python 3.11 that hangs when its first process has ended.
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=8) as pool:
        yield from pool.imap(functools.partial(search, faults=faults), chunks)


def report(seed: int, failure: Failure, seconds: float) -> str:
    """A failure as a person reads it: the program, the laws it breaks, the trace."""
    end = time.monotonic() + seconds
    small = shrunk(failure, lambda: time.monotonic() > end)
    return "\n".join(
        [
            f"seed {seed} ({failure.size} nodes; {failure.weather}) breaks:",
            *(f"  {violation}" for violation in failure.violations),
            f"smaller ({small.size} nodes; {small.weather}; cloud's seed {small.weather.seed}):",
            text(small.program),
            *(f"  {violation}" for violation in small.violations),
            f"  {small.program!r}",
            play(small.program, small.weather).trace,
        ]
    )
