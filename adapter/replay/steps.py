"""What code may ask for, and the steps that a run takes: the types between user code, execution and engine. Pure."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from adapter.errors import NotDurable
from adapter.protocol import forks
from adapter.protocol.making import quickly_made
from adapter.protocol.records import Kind
from adapter.protocol.times import Instant
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
    """The outcome of a durable call, now or later. Code awaits it like any asyncio future.

    ``id`` names it everywhere: code that has the id and access to the table can `resolve` it. ``cancel()`` settles it
    ``rejected_canceled``, if it is still pending.
    """

    id: str

    def __repr__(self) -> str:
        return f"<Promise {self.id} {'settled' if self.done() else 'pending'}>"


class Place(StrEnum):
    """Where a durable call is to run: in an invocation of its own, in its caller's, or here where that is as good."""

    LAMBDA = "lambda"
    INLINE = "inline"
    AUTO = "auto"


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the code asked for. ``args`` is encoded; ``decode`` reads the outcome; ``inline`` runs an inline step, in a
    copy of ``context``, that of the code that asked.

    The execution sets ``id``, that of its promise, and ``ordinal``, its place among the function's promises.
    ``deadline`` is in logical microseconds, ``retry`` a policy of this call, and ``root`` the root that it starts or
    awaits. ``reads`` is the function of that root, if it is known; ``read_as`` finds the reader of a function's
    outcome. ``place`` is a wish: the digest doesn't tell of it, and a replay follows what is stored. ``draws_as``: a
    fork asks for it in the place of a call of that execution, and it draws the same.
    """

    kind: Kind
    fn: str
    args: str
    digest: str
    decode: Callable[[str], Any]
    id: str = ""
    ordinal: int = -1
    target: str = ""
    place: Place = Place.LAMBDA
    inline: Callable[[], Any] | None = None
    context: contextvars.Context | None = None
    encode: Callable[[Any], str] | None = None
    deadline: Instant | None = None
    retry: str = ""
    root: str = ""
    reads: str = ""
    read_as: Callable[[str], Callable[[str], Any]] | None = None
    draws_as: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """What the engine has to perform: the leader first and alone (None: it is stored), then the others, in this order.

    ``direct``: the function then waits for the leader alone, and the leader's settlement resumes it.
    """

    leader: Request | None
    requests: tuple[Request, ...]
    seen: str
    direct: bool
    cancels: tuple[int, ...]
    expired: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """The function waits for the promises ``waiting`` (ids), and until ``wake_at`` (microseconds).

    ``direct``: the promise that it waits for resumes it, so nothing needs to be armed. The run knows ``consumed``
    counted settlements, ``rejections`` of them rejected; ``need`` more could let the code move.
    """

    waiting: tuple[str, ...]
    wake_at: Instant | None
    direct: bool
    consumed: int
    rejections: int
    need: int | None
    on_reject: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The function ended; its promise settles with this outcome."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The function goes on in an ordinary event loop, as this task."""

    task: asyncio.Task[Any]
    loop: DurableLoop


Step = Flush | Suspended | Done | Left


class Behind(Exception):
    """The journal tells of a settlement that happened after its record was loaded: load again."""


class Scope:
    """What code that runs for a promise may ask without a durable call. The answers are the same at every replay."""

    def __init__(self, promise: str, now: Instant, fork: str = "") -> None:
        self._promise = promise
        self._fork = forks.read(fork)
        self._now = now
        self._draws = 0

    @property
    def promise(self) -> str:
        """The id of the promise that the code runs for."""
        return self._promise

    def now(self) -> Instant:
        """What the code is told of the time, in logical microseconds."""
        at = self.clock()
        era = self._fork.at(at)
        return at if era is None else at - era.lag

    def clock(self) -> Instant:
        """The logical time by which timers and deadlines go. It differs from `now` while a fork repeats history."""
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
        era = self._fork.at(self.clock())
        promise = self._promise if era is None else forks.renamed(self._promise, era.root)
        seed = f"{promise}\0{purpose}\0{self._draws}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(seed).digest()[:16]
