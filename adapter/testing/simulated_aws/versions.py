"""Published versions of Lambdas, and the aliases that go to them, as AWS has them.

A version keeps the code with which it was published. An alias goes to one version, or to two by weight; which of them
runs, Lambda draws anew for each attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from adapter.engine.registry import Definition
from adapter.errors import ConfigurationError
from adapter.protocol.addresses import NEWEST, is_version, split, with_qualifier
from adapter.templates.intrinsics import ACCOUNT, REGION
from adapter.testing.simulated_aws.lambdas import Function
from adapter.testing.simulated_aws.outages import NoSuchFunction

Code = dict[str, Definition]
"""All durable functions of a version, by name."""

_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"


@dataclass(frozen=True, slots=True)
class Alias:
    """``other`` gets ``share`` of the attempts, and ``version`` the rest."""

    version: str
    other: str = ""
    share: float = 0.0

    @property
    def versions(self) -> set[str]:
        return {self.version, self.other} - {""}


class Versions:
    """The versions and aliases of all Lambdas.

    ``first`` publishes a Lambda that has none yet: a stack is deployed with a version of each, and its ``alias``. If it
    publishes none, that goes to the newest code.
    """

    def __init__(self, draw: Callable[[], float], functions: dict[str, Function]) -> None:
        self.alias = ""
        self.first: Callable[[str], object] = lambda name: None
        self._draw = draw
        self._functions = functions
        self._last: dict[str, int] = {}
        self._aliases: dict[str, Alias] = {}

    def publish(self, function: Function, handler: Callable[[Any, Any], Any] | None, code: Code) -> str:
        """Make the next version of a Lambda, with this code."""
        name = function.spec.name
        self._last[name] = self._last.get(name, 0) + 1
        version = str(self._last[name])
        spec = replace(function.spec, name=with_qualifier(name, version))
        self._functions[spec.name] = Function(spec, handler, version=version, code=code)
        return version

    def shift(self, name: str, alias: str, version: str, share: float) -> None:
        """Let the alias send that part of the attempts to the version, and the rest to where it went before."""
        self._check(name, version)
        if not 0 < share <= 1:
            raise ConfigurationError(f"a share of the attempts is above 0, and 1 at most, not {share!r}")
        before = self._aliases.get(f"{name}:{alias}")
        if share < 1 and before is None:
            raise ConfigurationError(f"{name}:{alias} goes to no version yet that could have the rest")
        goes = Alias(version) if share == 1 or before is None else Alias(before.version, version, share)
        self._aliases[f"{name}:{alias}"] = goes

    def unpublish(self, name: str, version: str) -> None:
        """Delete a version. AWS refuses that as long as an alias goes there."""
        self._check(name, version)
        for alias, goes in self._aliases.items():
            if split(alias)[0] == name and version in goes.versions:
                raise ConfigurationError(f"version {version} of {name} can't be deleted: {alias} goes there")
        self._functions.pop(with_qualifier(name, version)).forget()

    def check(self, name: str) -> None:
        """Raises NoSuchFunction: there is no such version or alias."""
        own, qualifier = split(name)
        if qualifier in ("", NEWEST) or name in self._aliases or (is_version(qualifier) and name in self._functions):
            return
        if qualifier != self.alias or own in self._last:
            raise NoSuchFunction(name)
        self.first(own)

    def resolved(self, name: str) -> str:
        """The name of the code that an attempt runs. Raises as `check` does."""
        self.check(name)
        own, qualifier = split(name)
        if (alias := self._aliases.get(name)) is None:
            return name if is_version(qualifier) else own
        is_other = alias.other and self._draw() < alias.share
        return with_qualifier(own, alias.other if is_other else alias.version)

    def _check(self, name: str, version: str) -> None:
        if with_qualifier(name, version) not in self._functions:
            raise ConfigurationError(f"{name} has no version {version}")


def own_name(name: str) -> str:
    """A Lambda's name without what an ARN has before it, if it is of this account and region."""
    return name.removeprefix(_ARN)
