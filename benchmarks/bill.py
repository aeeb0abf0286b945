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
from adapter.protocol.ids import MAX_ROOT_ID_BYTES
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


def bill(apart: float, length: int = 0) -> dict[str, float]:
    """Dollars for a million runs, by what AWS bills, where one begins so many seconds after the other.

    Args:
        length: of their ids; 0: as long as the library makes them.
    """
    with LocalCloud(engine="memory") as cloud:
        # What an idle stack costs (a sweep a minute) isn't a run's.
        cloud.advance(MONTH + 86_400)
        idle = cloud.stats.bill
        cloud.stats.reset()
        for number in range(RUNS):
            three_steps.with_options(id=f"{number:0{length}}" if length else cloud.new_id()).start()
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
    columns = [bill(apart=3), bill(apart=0), bill(apart=0, length=MAX_ROOT_ID_BYTES)]
    print("| what AWS bills | dollars per million runs, each alone | on a busy stack | there, with the longest ids |")
    print("|---|---|---|---|")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(f'{column[name]:.2f}' for column in columns)} |")
    print(f"| **all** | {' | '.join(f'**{sum(column.values()):.2f}**' for column in columns)} |")


if __name__ == "__main__":
    main()
