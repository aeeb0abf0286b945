"""The bill of a million runs of three remote steps, line by line, kept for a month or longer and then removed.

A run with a deadline, of a day here, expires: DynamoDB removes it a week after a month, and for nothing. One without
is removed by the watchdog.

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
DAY = 86_400
MONTH = 30 * DAY
EXPIRED = DAY + MONTH + 7 * DAY
"""Seconds from the beginning of a run with a deadline until it has expired. DynamoDB then takes two days at most."""
DOLLARS_PER_GIGABYTE_MONTH = 0.25
BYTES_BESIDE_AN_ITEM = 100
"""DynamoDB stores so many more for each item, and for its entry in the index."""


@durable
def step(n: int) -> int:
    return n + 1


@durable
async def three_steps() -> int:
    return await step(await step(await step(0)))


def bill(apart: float, deadline: bool = False, length: int = 0) -> dict[str, float]:
    """Dollars for a million runs, by what AWS bills, where one begins so many seconds after the other.

    Args:
        length: of their ids; 0: as long as the library makes them.
    """
    kept = EXPIRED + DAY if deadline else MONTH
    begun = three_steps.with_options(timeout=DAY) if deadline else three_steps
    with LocalCloud(engine="memory") as cloud:
        # What an idle stack costs (a sweep a minute) isn't a run's.
        cloud.advance(kept + 2 * DAY)
        idle = cloud.stats.bill
        cloud.stats.reset()
        for number in range(RUNS):
            begun.with_options(id=f"{number:0{length}}" if length else cloud.new_id()).start()
            if apart:
                cloud.advance(apart)
        cloud.drive()
        stored = sum(item_size(to_item(record)) + BYTES_BESIDE_AN_ITEM for record in cloud.records())
        cloud.advance(kept + 2 * DAY)
        assert cloud.records() == []
        lines = {name: (dollars - idle[name]) / RUNS for name, dollars in cloud.stats.bill.items()}
    lines["storage"] = stored / RUNS / 1e9 * DOLLARS_PER_GIGABYTE_MONTH * kept / MONTH
    return {name: 1e6 * dollars for name, dollars in lines.items()}


def main() -> None:
    bills = [bill(apart, deadline) for deadline in (False, True) for apart in (3, 0)]
    bills.append(bill(0, deadline=True, length=MAX_ROOT_ID_BYTES))
    print(
        "| dollars per million runs | each alone | on a busy stack | with a deadline, alone | with a deadline, busy"
        " | there, with the longest ids |"
    )
    print("|---|---|---|---|---|---|")
    for name in bills[0]:
        print(f"| {name} | {' | '.join(f'{lines[name]:.2f}' for lines in bills)} |")
    print(f"| **all** | {' | '.join(f'**{sum(lines.values()):.2f}**' for lines in bills)} |")


if __name__ == "__main__":
    main()
