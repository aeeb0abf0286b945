"""Lambda functions for tests, run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from adapter import durable
from adapter.aws.wiring import SystemClock


def describe(event: Any, context: Any) -> dict[str, Any]:
    """What a handler sees."""
    return {
        "event": event,
        "pid": os.getpid(),
        "request_id": context.aws_request_id,
        "function": context.function_name,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "left": context.get_remaining_time_in_millis(),
        "environment": dict(os.environ),
        "directory": str(Path.cwd()),
    }


def clocks(event: Any, context: Any) -> dict[str, int]:
    """The engine's clock and the machine's, in microseconds; milliseconds to the deadline."""
    return {
        "engine": SystemClock().now(),
        "machine": time.time_ns() // 1_000,
        "left": context.get_remaining_time_in_millis(),
        "pid": os.getpid(),
    }


def refuse(event: Any, context: Any) -> None:
    raise LookupError(f"no {event['what']} here")


def say(event: Any, context: Any) -> None:
    print(event)


def leave(event: Any, context: Any) -> None:
    print("about to leave")
    sys.exit(7)


def stay(event: Any, context: Any) -> None:
    """Say that it has begun, start a child, and never end."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    started = Path(event["started"])
    started.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    started.with_suffix(".new").rename(started)
    while True:
        time.sleep(1)


def meet(event: Any, context: Any) -> int:
    """Return once ``others`` processes are here at the same time."""
    place = Path(event["place"])
    (place / str(os.getpid())).touch()
    while len(list(place.iterdir())) < event["others"]:
        time.sleep(0.01)
    return os.getpid()


def fill(event: Any, context: Any) -> int:
    """Use so many MB for a moment."""
    return len(bytearray(event["mb"] * 1024 * 1024)) // 1024 // 1024


def repeat(event: Any, context: Any) -> str:
    return "x" * int(event["size"])


@durable(target="charge")
def charge(order: str) -> str:
    return f"{order} charged in {os.environ['AWS_LAMBDA_FUNCTION_NAME']}"


@durable(target="ship")
def ship(receipt: str) -> str:
    return f"{receipt}, shipped in {os.environ['AWS_LAMBDA_FUNCTION_NAME']}"


@durable(target="checkout")
async def checkout(order: str) -> str:
    return await ship(await charge(order))
