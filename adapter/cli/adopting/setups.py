"""A Lambda as it is set up, be it by a template or on AWS, and what the library's stack has for it. Plain records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.errors import ConfigurationError
from adapter.protocol.variables import STACK, described


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a policy allows: an action, on whatever this pattern matches."""

    action: str
    resource: str

    def covers(self, other: Grant) -> bool:
        return _matches(self.action.lower(), other.action.lower()) and _matches(self.resource, other.resource)


def grants(statements: Any) -> Iterator[Grant]:
    """Those of a policy's statements. What a statement denies, or allows on a condition only, counts for nothing."""
    for each in _listed(statements):
        if each.get("Effect") == "Allow" and not each.get("Condition"):
            resources = [str(one) for one in _listed(each.get("Resource", []))]
            yield from (
                Grant(action=str(act), resource=one) for act in _listed(each.get("Action", [])) for one in resources
            )


def lacking(wanted: Iterable[Grant], allowed: Iterable[Grant]) -> list[str]:
    """The actions that are wanted and not allowed."""
    have = tuple(allowed)
    return sorted({grant.action for grant in wanted if not any(one.covers(grant) for one in have)})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, text: str) -> bool:
    form = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(form, text, re.DOTALL) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A queue that invokes a function. ``hidden_s``: for how long nobody else receives a message of it."""

    queue: str
    hidden_s: int
    window_s: int
    reports_items: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A Lambda. ``where`` is what its owner calls it. ``grants`` is None where its role can't be read.

    ``named``: it has a name of its own choice, so others can call it by that. ``reserved``: so much concurrency it has
    to itself, and no more; None: it has its share of the account's. ``alias``: where each version that is published
    goes. ``of_versions``: what it is given that counts for versions and aliases only.
    """

    where: str
    name: str
    named: bool
    handler: str
    runtime: str
    architecture: str
    timeout_s: int
    layers: tuple[str, ...]
    environment: Mapping[str, str]
    on_failure: str
    may_recur: bool
    grants: tuple[Grant, ...] | None
    sources: tuple[Source, ...] = ()
    alias: str = ""
    of_versions: tuple[str, ...] = ()
    on_failure_of_version: str = ""
    reserved: int | None = None
    code: str = ""

    def variables(self) -> Mapping[str, str]:
        """Its variables, those in ``DURABLE_STACK`` included; without these where they can't be read."""
        try:
            return described(self.environment)
        except ConfigurationError:
            return {name: value for name, value in self.environment.items() if name != STACK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the library's stack has for every Lambda with durable functions."""

    layer: str
    dead_letters: str
    policy: str
    variables: Mapping[str, str]
    needs: tuple[Grant, ...]
    runtimes: tuple[str, ...]
    architectures: tuple[str, ...]

    @property
    def prefix(self) -> str:
        return self.variables["DURABLE_PREFIX"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """Something that is wrong: where, what follows from it, and how to mend it. ``rule`` is a word for it."""

    where: str
    rule: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} [{self.rule}]\n    {self.mend}"
