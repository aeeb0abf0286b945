"""The bill of a million runs of three remote steps, line by line, kept for a month and then removed.

Counted on a `LocalCloud`: requests, units and bytes are exact, and the prices are those of us-east-1 in November 2026.
That an invocation takes 30 ms beside the user's own code, and 6 ms for each call beyond five, is an assumption. Runs
that begin together share the stream's batches, as on a busy stack; of one that is alone each settlement has a resumer
of its own. Either way there are as many as in an hour of a million runs a month, so removals share batches.

    python -m benchmarks.bill
"""

from __future__ import annotations

from adapter import durable
from adapter.aws.items import to_item
from adapter.testing import LocalCloud
from adapter.testing.stats import item_size

RUNS = 1_200
MONTH = 30 * 86_400
DOLLARS_PER_GIGABYTE_MONTH = 0.25
BYTES_BESIDE_AN_ITEM = 100
"""DynamoDB stores so many more for each item, and for its entry in the index."""


@durable
def step(n: int) -> int:
    return n + 1


@durable
async def three_steps() -> int:
    return await step(await step(await step(0)))


def bill(apart: float) -> dict[str, float]:
    """Dollars for a million runs, by what AWS bills, where one begins so many seconds after the other."""
    with LocalCloud(engine="memory") as cloud:
        # What an idle stack costs (a sweep a minute) isn't a run's.
        cloud.advance(MONTH + 86_400)
        idle = cloud.stats.bill
        cloud.stats.reset()
        for _ in range(RUNS):
            three_steps.start()
            if apart:
                cloud.advance(apart)
        cloud.drive()
        stored = sum(item_size(to_item(record)) + BYTES_BESIDE_AN_ITEM for record in cloud.records())
        cloud.advance(MONTH + 86_400)
        assert cloud.records() == []
        lines = {name: (dollars - idle[name]) / RUNS for name, dollars in cloud.stats.bill.items()}
    lines["storage"] = stored / RUNS / 1e9 * DOLLARS_PER_GIGABYTE_MONTH
    return {name: 1e6 * dollars for name, dollars in lines.items()}


def main() -> None:
    alone, busy = bill(apart=3), bill(apart=0)
    print("| what AWS bills | dollars per million runs, each alone | on a busy stack |")
    print("|---|---|---|")
    for name in alone:
        print(f"| {name} | {alone[name]:.2f} | {busy[name]:.2f} |")
    print(f"| **all** | **{sum(alone.values()):.2f}** | **{sum(busy.values()):.2f}** |")


if __name__ == "__main__":
    main()
