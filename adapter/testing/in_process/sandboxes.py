"""The sandboxes of each function: which of them an invocation comes to, and what it finds there."""

from __future__ import annotations

from collections.abc import Callable

from adapter.engine.memory import Memory
from adapter.testing.faults import Dice
from adapter.testing.hosting import LocalHost
from adapter.testing.simulated_aws.lambdas import Function

COUNT = 3
"""Sandboxes of a function, under a fault. Two would know all that they don't know after one turn."""


class Sandboxes:
    """A function's invocations come to one sandbox, until a fault sends them to another (`Faults.scatter`).

    ``make`` makes a sandbox's host, once, of the function's name and the sandbox's memory.
    """

    def __init__(self, dice: Dice, make: Callable[[str, Memory], LocalHost]) -> None:
        self._dice = dice
        self._make = make
        self._hosts: dict[str, list[LocalHost]] = {}
        self._last: dict[str, int] = {}

    def host(self, function: Function) -> LocalHost:
        """That of the sandbox which takes the function's next invocation."""
        hosts, number = self._hosts.setdefault(function.spec.name, []), self._last.get(function.spec.name, 0)
        if self._dice.draw("scatter"):
            number = (number + self._dice.random.randrange(1, COUNT)) % COUNT
        while len(hosts) <= number:
            hosts.append(self._make(function.spec.name, self._memory(function, len(hosts))))
        self._last[function.spec.name] = number
        return hosts[number]

    def end(self) -> None:
        """The next invocation of each function comes to a new one."""
        self._hosts.clear()
        self._last.clear()

    def _memory(self, function: Function, number: int) -> Memory:
        if number == len(function.memories):
            function.memories.append(Memory(size=function.memory.size))
        return function.memories[number]
