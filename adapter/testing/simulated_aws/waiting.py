"""Events that wait for an attempt: in the order in which they came, and each function's by themselves."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator

from adapter.testing.simulated_aws.lambdas import Invocation


class Ready:
    """A queue in which each function has a line, so that nobody looks at all of them to find each one's first."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[int, Invocation]]] = {}
        self._last = 0
        self._first = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Invocation]:
        entries = sorted(itertools.chain.from_iterable(self._lines.values()), key=lambda entry: entry[0])
        return iter([invocation for _, invocation in entries])

    def append(self, invocation: Invocation) -> None:
        self._last += 1
        self._count += 1
        self._lines.setdefault(invocation.function, deque()).append((self._last, invocation))

    def extendleft(self, invocations: Iterable[Invocation]) -> None:
        """Each of them comes before all others."""
        for invocation in invocations:
            self._first -= 1
            self._count += 1
            self._lines.setdefault(invocation.function, deque()).appendleft((self._first, invocation))

    def firsts(self) -> dict[str, Invocation]:
        """The first event of each function, in the order in which they came."""
        lines = sorted(self._lines.items(), key=lambda item: item[1][0][0])
        return {function: line[0][1] for function, line in lines}

    def take(self, function: str) -> Invocation:
        """The first event of a function."""
        line = self._lines[function]
        _, invocation = line.popleft()
        self._count -= 1
        if not line:
            del self._lines[function]
        return invocation

    def popleft(self) -> Invocation:
        return self.take(min(self._lines, key=lambda function: self._lines[function][0][0]))

    def rotate(self, count: int) -> None:
        """As `collections.deque` does."""
        rotated = deque(self)
        rotated.rotate(count)
        self.clear()
        for invocation in rotated:
            self.append(invocation)

    def clear(self) -> None:
        self._lines.clear()
        self._count = 0
