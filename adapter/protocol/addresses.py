"""The names by which a Lambda is invoked: of its newest code, of an alias, of a published version. Pure.

A name is a Lambda's own, or its ARN; behind it may stand a *qualifier*: ``shop-checkout:live`` is an alias, and
``shop-checkout:7`` a version, whose code never changes. Without one, it is the code that was deployed last.
"""

from __future__ import annotations

NEWEST = "$LATEST"
"""The version of what nobody has published."""

_IN_ARN = ":function:"


def split(name: str) -> tuple[str, str]:
    """A name without its qualifier, and that; empty if it has none."""
    before, mark, after = name.rpartition(_IN_ARN)
    own, _, qualifier = after.partition(":")
    return f"{before}{mark}{own}", qualifier


def with_qualifier(name: str, qualifier: str) -> str:
    """The same Lambda, by this qualifier in place of its own; by none, if that is empty."""
    own, _ = split(name)
    return f"{own}:{qualifier}" if qualifier else own


def is_version(qualifier: str) -> bool:
    """Whether it names a published version: AWS counts them, and an alias can't be a number."""
    return qualifier.isascii() and qualifier.isdigit()


def version_of(name: str) -> str:
    """The published version that a name stands for; empty: whatever is deployed, or an alias."""
    qualifier = split(name)[1]
    return qualifier if is_version(qualifier) else ""


def is_same(one: str, other: str) -> bool:
    """Whether two names are of the same code of one Lambda, be one of them an ARN."""
    (lambda_, qualifier), (another, its) = split(one), split(other)
    return qualifier == its and lambda_.rpartition(_IN_ARN)[2] == another.rpartition(_IN_ARN)[2]


def lambda_of(target: str, prefix: str, alias: str = "") -> str:
    """The Lambda's whole name for a function's ``target``; an ARN is one already.

    What names no qualifier goes by the stack's ``alias``, if it has one.
    """
    if not target or _IN_ARN in target:
        return target
    named = f"{prefix}{target}"
    return named if split(named)[1] or not alias else with_qualifier(named, alias)


def within(named: str, own: str, alias: str = "") -> str:
    """How a run that goes by ``own`` names a Lambda: its own one, by the same qualifier; no other changes.

    A qualifier that the code itself gives stands; so it takes ``$LATEST`` to leave a version.
    """
    if not named:
        return own
    lambda_, qualifier = split(named)
    is_given = qualifier not in ("", alias)
    return named if is_given or lambda_ != split(own)[0] else own


def invoked(arn: str, name: str, alias: str = "") -> str:
    """The name by which a Lambda was invoked, from what its context says. Without a qualifier: by the stack's alias."""
    return with_qualifier(name, split(arn)[1] or alias) if name else ""
