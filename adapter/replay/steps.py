"""What code may ask for, and what a run of it comes to: the words between code, execution and shell. Pure."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from adapter.errors import NotDurable
from adapter.protocol.records import Kind
from adapter.replay.loop import DurableLoop
from adapter.replay.outcomes import Outcome

R = TypeVar("R")

current: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("durable_scope", default=None)
"""The scope whose code is running in this context."""


if TYPE_CHECKING:

    class _Call(asyncio.Future[R], Coroutine[Any, Any, R]):
        """`asyncio.create_task` and `asyncio.TaskGroup` take coroutines; the durable loop's take promises, too."""

        def send(self, value: Any, /) -> Any: ...
        def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any: ...
        def close(self) -> None: ...
else:
    _Call = asyncio.Future


class Promise(_Call[R]):
    """The outcome, now or later, of something durable; awaited like any asyncio future.

    ``id`` names it everywhere: hand it out, and any code with access to the table can `resolve` it.
    ``cancel()`` settles it ``rejected_canceled``, if it is still pending.
    """

    id: str

    def __repr__(self) -> str:
        return f"<Promise {self.id} {'settled' if self.done() else 'pending'}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the code asked for: ``args`` encoded; ``decode`` reads the outcome; ``inline`` runs an inline step.

    ``id`` of its promise, and ``ordinal`` among the function's, are the execution's to give.
    ``deadline`` in logical microseconds; ``retry`` a policy of this call; ``root`` the root that it starts or awaits.
    ``reads``: the function of that root, as far as it could be asked; ``read_as`` gives what reads the outcome of one.
    """

    kind: Kind
    fn: str
    args: str
    digest: str
    decode: Callable[[str], Any]
    id: str = ""
    ordinal: int = -1
    target: str = ""
    inline: Callable[[], Any] | None = None
    encode: Callable[[Any], str] | None = None
    deadline: int | None = None
    retry: str = ""
    root: str = ""
    reads: str = ""
    read_as: Callable[[str], Callable[[str], Any]] | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """To be performed: the leader first and alone (None: it is stored), then the rest, the cancels, the expired.

    ``direct``: the function then waits for the leader alone, whose settlement is to resume it.
    """

    leader: Request | None
    rest: tuple[Request, ...]
    seen: str
    direct: bool
    cancels: tuple[int, ...]
    expired: tuple[int, ...] = ()

    @property
    def requests(self) -> tuple[Request, ...]:
        """All that is asked for, in order."""
        return self.rest if self.leader is None else (self.leader, *self.rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """Waits for ``waiting`` (ids) and until ``wake_at`` (microseconds).

    ``direct``: what it waits for resumes it by itself, nothing is to be armed. ``consumed`` counted settlements are
    known, ``refusals`` of them rejections; ``need`` more could let the code move.
    """

    waiting: tuple[str, ...]
    wake_at: int | None
    direct: bool
    consumed: int
    refusals: int
    need: int | None
    on_reject: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The function ended: how its promise is to settle."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The function goes on in an ordinary event loop, as this task."""

    task: asyncio.Task[Any]
    loop: DurableLoop


Step = Flush | Suspended | Done | Left


class Behind(Exception):
    """The journal tells of a settlement that was loaded before it happened: load again."""


class Scope:
    """What code that runs for a promise may ask without a durable call: the same answers at every replay."""

    def __init__(self, promise: str, now: int) -> None:
        self._promise = promise
        self._now = now
        self._draws = 0

    def now(self) -> int:
        """Logical microseconds."""
        return self._now

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(bytes=self._draw("uuid4"), version=4)

    def random(self) -> float:
        return int.from_bytes(self._draw("random")[:7], "big") / 2**56

    def request(self, asked: Request) -> Promise[Any]:
        """A durable call. Only an execution can make one."""
        raise NotDurable(
            f"a durable call inside a plain def or an inline step ({self._promise}): only the body of an async @durable"
            " function can make one; make the call there"
        )

    def _draw(self, purpose: str) -> bytes:
        self._draws += 1
        seed = f"{self._promise}\0{purpose}\0{self._draws}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(seed).digest()[:16]
