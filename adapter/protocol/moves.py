"""Where the Lambdas are found that were renamed. Pure.

Records remember the names of Lambdas. A move says under which name else one is found, once Lambda has none of the old
name any more; as long as there is one, the move changes nothing. Moves have no circle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapter.errors import BadMessage
from adapter.protocol.addresses import is_version, split, with_qualifier

LONGEST = 10
"""So many moves lead from a name to another at most. Each costs whoever invokes a call that Lambda refuses."""

MOST = 1_000
"""Moves of one table: they are in one item, which DynamoDB bounds."""

_NAME = re.compile(
    r"(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:|[0-9]{12}:function:)?"
    r"[A-Za-z0-9_-]{1,64}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?"
)


@dataclass(frozen=True, slots=True)
class Moves:
    """The new name of each Lambda that was renamed, by its old one."""

    to: Mapping[str, str] = field(default_factory=dict)

    def way(self, name: str) -> tuple[str, ...]:
        """The names to try in turn if this one is missing."""
        return self._way(name)[:LONGEST]

    def _way(self, name: str) -> tuple[str, ...]:
        names = [name]
        while (then := self._next(names[-1])) and then not in names:
            names.append(then)
        return tuple(names[1:])

    def _next(self, name: str) -> str | None:
        """A Lambda's aliases move with it. Its versions don't: those of another one are other code."""
        lambda_, qualifier = split(name)
        whole = None if not qualifier or is_version(qualifier) else self.to.get(lambda_)
        with_it = with_qualifier(whole, qualifier) if whole and not split(whole)[1] else whole
        return self.to.get(name) or with_it

    def moved(self, old: str, new: str) -> Moves:
        """With a move, in place of the old name's former one."""
        return Moves({**self.to, old: new})

    def undone(self, old: str) -> Moves:
        return Moves({name: new for name, new in self.to.items() if name != old})

    def objection(self, old: str, new: str) -> str | None:
        """Why there can't be such a move; None: there can."""
        for name in (old, new):
            if _NAME.fullmatch(name) is None:
                return f"no Lambda can have the name {name!r}"
        if old == new:
            return f"{old} is its old name and its new one"
        after = self.moved(old, new)
        if old in (way := self.way(new)):
            return f"{new} was moved to {', then '.join(way[: way.index(old) + 1])}: this would be a circle"
        if any(len(after._way(name)) > LONGEST for name in after.to):
            return f"that would be more than {LONGEST} moves in a row: move the older names to {new} themselves"
        if len(after.to) > MOST:
            return f"there are {MOST:,} moves: take back those that nothing needs any more"
        return None

    def to_text(self) -> str:
        return json.dumps(dict(sorted(self.to.items())), separators=(",", ":"))


UNMOVED = Moves()


def moves(text: str) -> Moves:
    """Read what `Moves.to_text` wrote. Raises BadMessage: it isn't that."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as unreadable:
        raise BadMessage(f"the moves of Lambdas can't be read: {type(unreadable).__name__}") from None
    if not isinstance(found, dict) or not all(isinstance(new, str) for new in found.values()):
        raise BadMessage("the moves of Lambdas can't be read: they aren't names by names")
    return Moves(found)


def named(name: str, way: Sequence[str]) -> str:
    """A Lambda in a sentence, by its name and those that it has had since."""
    return f"{name} (moved to {', then '.join(way)})" if way else name
