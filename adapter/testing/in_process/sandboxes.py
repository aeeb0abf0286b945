"""The sandboxes of each function: which of them an invocation comes to, and what it finds there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from adapter.engine.memory import Memory
from adapter.testing.faults import Dice
from adapter.testing.hosting import LocalHost
from adapter.testing.simulated_aws.environments import Environment, Environments
from adapter.testing.simulated_aws.lambdas import Function

COUNT = 3
"""Sandboxes of a function, under a fault. Two would know all that they don't know after one turn."""

Make = Callable[[str, Memory], LocalHost]
"""Makes a sandbox's host, once, of the function's name and the sandbox's memory."""


@dataclass(eq=False)
class Sandbox:
    """A host; and, where time passes while it runs, the environment that it is in."""

    host: LocalHost
    environment: Environment | None = None


class Sandboxes(Protocol):
    """What a driver calls on them."""

    def take(self, function: Function) -> Sandbox:
        """The one to which the function's next invocation comes."""
        ...

    def give_back(self, sandbox: Sandbox) -> None:
        """Its invocation has ended."""
        ...

    def end(self) -> None:
        """The next invocation of each function comes to a new one."""
        ...


class OneAtATime:
    """A function's invocations come to one sandbox, until a fault sends them to another (`Faults.scatter`)."""

    def __init__(self, dice: Dice, make: Make) -> None:
        self._dice = dice
        self._make = make
        self._hosts: dict[str, list[Sandbox]] = {}
        self._last: dict[str, int] = {}

    def take(self, function: Function) -> Sandbox:
        hosts, number = self._hosts.setdefault(function.spec.name, []), self._last.get(function.spec.name, 0)
        if self._dice.draw("scatter"):
            number = (number + self._dice.random.randrange(1, COUNT)) % COUNT
        while len(hosts) <= number:
            hosts.append(Sandbox(self._make(function.spec.name, self._memory(function, len(hosts)))))
        self._last[function.spec.name] = number
        return hosts[number]

    def give_back(self, sandbox: Sandbox) -> None:
        # It was the function's all along.
        pass

    def end(self) -> None:
        self._hosts.clear()
        self._last.clear()

    def _memory(self, function: Function, number: int) -> Memory:
        if number == len(function.memories):
            function.memories.append(Memory(size=function.memory.size))
        return function.memories[number]


@dataclass(eq=False)
class AsManyAsRun:
    """A function has a sandbox for each invocation that runs at once, in an environment of its own.

    The next one comes to the idle one that was used last, and a fault sends it to any idle one (`Faults.scatter`).
    """

    dice: Dice
    make: Make
    environments: Environments
    functions: Callable[[str], Function]
    _of: dict[Environment, Sandbox] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environments.ended = self._ended

    def take(self, function: Function) -> Sandbox:
        name = function.spec.name
        idle = self.environments.idle(name)
        scattered = self.dice.draw("scatter") and idle
        environment = self.environments.take(name, self.dice.random.randrange(idle) if scattered else -1)
        if environment not in self._of:
            self._of[environment] = Sandbox(self.make(name, self._memory(function)), environment)
        return self._of[environment]

    def give_back(self, sandbox: Sandbox) -> None:
        assert sandbox.environment is not None
        self.environments.give_back(sandbox.environment)

    def end(self) -> None:
        for environment in list(self._of):
            # One that is busy ends with its invocation.
            environment.over = True
        for function in {environment.function for environment in self._of}:
            self.environments.end(function)

    def _memory(self, function: Function) -> Memory:
        # The first memory stands for all: new sandboxes have as much.
        memory = Memory(size=function.memory.size)
        function.memories.append(memory)
        return memory

    def _ended(self, environment: Environment) -> None:
        memory = self._of.pop(environment).host.memory
        memory.clear()
        memories = self.functions(environment.function).memories
        memories[:] = [each for each in memories if each is not memory]
