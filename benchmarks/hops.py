"""How far a reader has to walk: the calls, files and changes of file on a call's way through the package.

Four ways are walked, each on a fresh `LocalCloud` over the product's own clients: an argument on its way from the call
to the callee's body, a result on its way back, a timer, and a cancellation. Code of other packages, and of
`adapter.testing`, isn't counted.

    python -m benchmarks.hops
    python -m benchmarks.hops "a timer"   # the way itself: each call, and each return (<) into another file
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import adapter
from adapter import durable
from adapter.testing import LocalCloud

PACKAGE = Path(adapter.__file__).parent
LEFT_OUT = PACKAGE / "testing"
OWN_AFFAIRS = ("LocalCloud.emit", "LocalCloud.peek", "Minutely.next_at", "Driver.ports")
"""What the cloud does for itself, and a Lambda doesn't."""
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


class Walk:
    """Counts between `begin` and `end`, which user code calls."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}
        self.begin()
        self.end()

    def begin(self) -> None:
        self.calls = 0
        self.switches = 0
        self.files: set[str] = set()
        self.trace: list[str] = []
        self._at = ""
        self._aside: FrameType | None = None
        sys.setprofile(self._seen)

    def end(self) -> None:
        sys.setprofile(None)

    def _seen(self, frame: FrameType, event: str, _: Any) -> None:
        if self._aside is not None:
            self._aside = None if event == "return" and frame is self._aside else self._aside
        elif frame.f_code.co_qualname in OWN_AFFAIRS and event == "call":
            self._aside = frame
        elif event == "call":
            # The argument of RESUME is 0 where a function begins, and another where a generator goes on.
            self._enter(frame, begins=frame.f_code.co_code[frame.f_lasti + 1] == 0)
        elif event == "return" and frame.f_back is not None:
            self._enter(frame.f_back, begins=False)

    def _enter(self, frame: FrameType, *, begins: bool) -> None:
        file = frame.f_code.co_filename
        # A comprehension is a line of the function that it is in.
        if not self._counts(file) or frame.f_code.co_name in COMPREHENSIONS:
            return
        self.calls += begins
        self.files.add(file)
        if begins or file != self._at:
            name = f"{Path(file).relative_to(PACKAGE)}:{frame.f_code.co_qualname}"
            self.trace.append(f"{'  ' * self._depth(frame)}{name}{'' if begins else ' <'}")
        if file != self._at:
            self.switches += 1
            self._at = file

    def _depth(self, frame: FrameType | None) -> int:
        depth = 0
        while frame is not None:
            depth += self._counts(frame.f_code.co_filename)
            frame = frame.f_back
        return depth

    def _counts(self, file: str) -> bool:
        if file not in self._known:
            path = Path(file)
            self._known[file] = path.is_relative_to(PACKAGE) and not path.is_relative_to(LEFT_OUT)
        return self._known[file]


walk = Walk()


@durable
def charge(order: str) -> str:
    walk.end()
    return order


@durable
def charged(order: str) -> str:
    walk.begin()
    return order


@durable
async def down(order: str) -> str:
    walk.begin()
    return await charge(order)


@durable
async def up(order: str) -> str:
    receipt = await charged(order)
    walk.end()
    return receipt


@durable
async def timer(order: str) -> str:
    walk.begin()
    await asyncio.sleep(3)
    walk.end()
    return order


@durable
async def patient() -> None:
    try:
        await asyncio.sleep(3_600)
    except asyncio.CancelledError:
        walk.end()
        raise


@durable
async def cancellation(order: str) -> str:
    call = patient()
    await asyncio.sleep(3)
    walk.begin()
    call.cancel()
    await asyncio.sleep(3)
    return order


WAYS: dict[str, Callable[..., Any]] = {
    "an argument, down": down,
    "a result, up": up,
    "a timer": timer,
    "a cancellation": cancellation,
}


def go(name: str) -> None:
    """Walk one of the ways."""
    function: Any = WAYS[name]
    # The replay at the end of an execution would walk its own way.
    with LocalCloud(verify=False) as cloud:
        cloud.run(function, "warm")
        cloud.run(function, "order-7")


def measure() -> dict[str, tuple[int, int, int]]:
    """Calls, files, and changes of file, of each way."""
    found = {}
    for name in WAYS:
        go(name)
        found[name] = walk.calls, len(walk.files), walk.switches
    return found


def main() -> None:
    for name in sys.argv[1:]:
        go(name)
        print("\n".join(walk.trace))
    if sys.argv[1:]:
        return
    print(f"| {'way':17} | calls | files | switches |")
    print("|---|---|---|---|")
    for name, (calls, files, switches) in measure().items():
        print(f"| {name:17} | {calls:5} | {files:5} | {switches:8} |")


if __name__ == "__main__":
    main()
