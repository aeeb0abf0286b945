"""The programs that peers run: ``.peers/bin/python -m benchmarks.peer_programs PEER SHAPE N``.

`benchmarks.peers` runs it. It prints the CPU seconds that a run of N steps takes. Nothing of ours can be imported here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable


def async_durable(shape: str, n: int) -> object:
    """async-durable-execution, on its own local runner."""
    from async_durable_execution import create_local_runner, durable_callable, durable_execution, step

    @durable_callable
    async def same(number: int) -> int:
        return number

    @durable_execution
    async def sequential(event: dict[str, int]) -> int:
        return sum([await step(same(number), name="s") for number in range(event["n"])])

    @durable_execution
    async def fan_out(event: dict[str, int]) -> int:
        return sum(await asyncio.gather(*[step(same(number), name="s") for number in range(event["n"])]))

    async def run() -> object:
        handler = sequential if shape == "sequential" else fan_out
        return (await create_local_runner(handler=handler, input={"n": n}, timeout=600).run()).status

    return asyncio.run(run())


def aws(shape: str, n: int) -> object:
    """AWS's own SDK, on its own local runner."""
    from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution, durable_step
    from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

    @durable_step
    def same(context: StepContext, number: int) -> int:
        return number

    @durable_execution
    def sequential(event: dict[str, int], context: DurableContext) -> int:
        return sum(context.step(same(number), name="s") for number in range(event["n"]))

    @durable_execution
    def fan_out(event: dict[str, int], context: DurableContext) -> int:
        mapped = context.map(list(range(event["n"])), lambda inner, item, index, items: item, name="m")
        return len(mapped.get_results())

    with DurableFunctionTestRunner(handler=sequential if shape == "sequential" else fan_out) as runner:
        return runner.run(input=json.dumps({"n": n}), timeout=600).status


PEERS: dict[str, Callable[[str, int], object]] = {
    "async-durable-execution": async_durable,
    "aws-durable-execution-sdk-python": aws,
}


def main(peer: str, shape: str, n: int) -> None:
    # What is imported and made once isn't a step's.
    PEERS[peer](shape, 1)
    begun = time.process_time()
    status = PEERS[peer](shape, n)
    took = time.process_time() - begun
    if "SUCCEEDED" not in str(status):
        raise SystemExit(f"{peer} ended as {status}")
    print(took)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
