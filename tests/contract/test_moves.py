"""The moves of renamed Lambdas, as notes keep them on every engine, and the invoker that follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from adapter import durable
from adapter.aws import moves
from adapter.aws.invoker import LambdaInvoker
from adapter.aws.moves import FRESH, NotedMoves
from adapter.aws.notes import Note
from adapter.errors import BadMessage, Unreachable
from adapter.protocol.messages import Start
from adapter.protocol.moves import UNMOVED, Moves
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.in_memory import MemoryNote
from tests.simulation.command.commanding import said
from tests.support.envelopes import Trusting
from tests.support.servers import ministack

ENGINES: dict[str, Callable[[], str]] = {
    "memory": lambda: "memory",
    "moto": lambda: "moto",
    "ministack": ministack,
}


@durable(name="contract:moves", target="before")
async def sums() -> int:
    """What it calls is in its own Lambda."""
    await asyncio.sleep(60)
    return sum(await asyncio.gather(_part(1), _part(2)))


@durable(name="contract:moves part")
def _part(value: int) -> int:
    return value


@dataclass
class Time:
    """A clock that a test sets."""

    at: int = 1

    def now(self) -> int:
        return self.at


@dataclass
class Counted:
    """A note, and how often it was read."""

    note: Note
    reads: int = 0

    def read(self) -> str | None:
        self.reads += 1
        return self.note.read()

    def write(self, text: str, was: str | None) -> bool:
        return self.note.write(text, was)


@dataclass
class Broken:
    """A table that answers nothing now."""

    def read(self) -> str | None:
        raise refusal("ProvisionedThroughputExceededException")

    def write(self, text: str, was: str | None) -> bool:
        raise AssertionError("nobody writes")


@dataclass
class Lambda:
    """Answers Invoke: with a refusal, by the function's name; others accept."""

    refuses: dict[str, str]
    asked: list[str] = field(default_factory=list)

    def invoke(self, *, FunctionName: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.asked.append(FunctionName)
        if FunctionName in self.refuses:
            raise refusal(self.refuses[FunctionName])
        return {"Payload": self}

    def read(self) -> bytes:
        return b""


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "Invoke")


def asked(client: Lambda, target: str, moved: NotedMoves) -> list[str]:
    """Whom Lambda is asked for when one is invoked."""
    client.asked.clear()
    LambdaInvoker(client, Trusting(), moves=moved).invoke(target, Start(id="r"))
    return list(client.asked)


@pytest.fixture(params=ENGINES)
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    with LocalCloud(engine=ENGINES[request.param]()) as made:
        yield made


@pytest.fixture
def note(cloud: LocalCloud) -> Iterator[Counted]:
    yield Counted(cloud._world.note(moves.PARTITION))
    assert cloud.records() == [], "it is no promise"


MISSING = "ResourceNotFoundException"


def test_what_was_moved_is_found_by_others(note: Counted) -> None:
    """A move is written in place of what was read."""
    one, other = NotedMoves(note, Time()), NotedMoves(note, Time())
    assert one.known() == other.read() == UNMOVED
    assert one.change(lambda stands: stands.moved("a", "b")) == Moves({"a": "b"})
    other.change(lambda stands: stands.moved("c", "d"))
    assert one.read() == other.known() == Moves({"a": "b", "c": "d"})
    assert note.note.write("{}", '{"a":"b"}') is False
    assert note.note.write("{}", None) is False


def test_of_two_operators_at_once_neither_loses_a_move(note: Counted) -> None:
    """Who is refused reads again, and is asked again what to make of it."""
    one, other = NotedMoves(note, Time()), NotedMoves(note, Time())
    seen: list[Moves] = []

    def change(stands: Moves) -> Moves:
        seen.append(stands)
        if len(seen) == 1:
            other.change(lambda found: found.moved("c", "d"))
        return stands.moved("a", "b")

    one.change(change)
    assert seen == [UNMOVED, Moves({"c": "d"})]
    assert other.read() == Moves({"a": "b", "c": "d"})


def test_the_moves_are_read_only_while_a_lambda_is_missing_and_once_in_a_minute(note: Counted) -> None:
    """As long as nothing is missing, they cost nothing."""
    time = Time()
    moved = NotedMoves(note, time)
    NotedMoves(note.note, time).change(lambda stands: stands.moved("old", "new").moved("there", "new"))
    client = Lambda({"old": MISSING})
    for _ in range(3):
        assert asked(client, "there", moved) == ["there"]
    assert note.reads == 0
    for _ in range(3):
        assert asked(client, "old", moved) == ["old", "new"]
    assert note.reads == 1
    NotedMoves(note.note, time).change(lambda stands: stands.moved("old", "newer"))
    time.at += FRESH - 1
    assert asked(client, "old", moved) == ["old", "new"]
    time.at += 1
    assert asked(client, "old", moved) == ["old", "newer"]
    assert note.reads == 2


def test_an_execution_whose_lambda_was_renamed_goes_on_on_every_engine(cloud: LocalCloud) -> None:
    """A timer resumes it, then its calls, each by the old name. The note is no promise of it."""
    handle = sums.start()
    cloud.advance(30)
    with cloud.outage("before", "missing"):
        cloud.advance(120)
        assert handle.status() == "pending"
        said("move", "before", "anew")
        assert handle.result() == 3
    assert cloud.stats.bodies[_part] == 2
    assert [record.id for record in cloud.records()] == [handle.id, f"{handle.id}~0", f"{handle.id}~1"]


def followed(*pairs: tuple[str, str]) -> NotedMoves:
    """Moves in memory."""
    found = NotedMoves(MemoryNote(), Time())
    found.change(lambda stands: Moves({**stands.to, **dict(pairs)}))
    return found


def test_a_message_goes_to_the_first_of_a_row_that_there_is() -> None:
    """Once that is missing, too, it goes to the next."""
    row = followed(("a", "b"), ("b", "c"))
    assert asked(Lambda({"a": MISSING}), "a", row) == ["a", "b"]
    assert asked(Lambda({"a": MISSING, "b": MISSING}), "a", row) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("refuses", "why", "last", "text"),
    [
        (
            {"a": MISSING},
            "missing",
            "b",
            "a (moved to b) can't be invoked: missing; if b has another name now",
        ),
        ({"a": MISSING, "b": "AccessDeniedException"}, "denied", "b", "a (moved to b) can't be invoked: denied"),
        ({"a": "TooManyRequestsException"}, "throttled", "a", "the Lambda a can't be invoked: throttled"),
    ],
)
def test_where_none_can_be_invoked_the_error_names_all_that_were_tried(
    refuses: dict[str, str], why: str, last: str, text: str
) -> None:
    """Only a name that is missing is followed."""
    with pytest.raises(Unreachable) as told:
        asked(Lambda({"b": MISSING, **refuses}), "a", followed(("a", "b")))
    assert (told.value.why, told.value.target) == (why, last)
    assert text in str(told.value)


@pytest.mark.parametrize("broken", ["refused", "unreadable"])
def test_where_the_moves_cannot_be_read_the_lambda_counts_as_missing(broken: str) -> None:
    """What it is to do is kept then, and tried again."""
    note: Note = Broken()
    if broken == "unreadable":
        note = MemoryNote()
        assert note.write("nonsense", None)
        with pytest.raises(BadMessage):
            NotedMoves(note, Time()).read()
    with pytest.raises(Unreachable, match="the Lambda a can't be invoked: missing"):
        asked(Lambda({"a": MISSING}), "a", NotedMoves(note, Time()))
