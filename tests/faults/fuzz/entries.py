"""Laws of what reads a whole event, a whole history, or a text as it is stored; as those of `laws`."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from adapter import durable, promise, run
from adapter.aws.sealing import Sealing
from adapter.aws.store import to_record
from adapter.codec import checking, decode, encode, schemas
from adapter.engine import hosts
from adapter.engine.caller import Caller
from adapter.engine.memory import Memory
from adapter.engine.operations import Arrive, Many, Operation, PeekFunction, PutAside, Settle
from adapter.engine.ports import Ports, drive
from adapter.engine.run import respond
from adapter.engine.runner import CodeRunner
from adapter.errors import BadMessage
from adapter.lambdas import deadletters, resumer, sweeper
from adapter.lambdas.aside import Held, unpacked
from adapter.links.endpoint import handler
from adapter.links.tokens import sign, verify
from adapter.links.values import HttpError, read_value
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Cause, Message, Resume
from adapter.protocol.promises import Refusal, Refused, Written, settle
from adapter.protocol.records import Kind, Record, State, Stored
from adapter.testing.hosting import InOrder
from tests.contract.stores import ModelStore
from tests.faults.fuzz.laws import NOW, Color, Item, Options, Point, read
from tests.support.envelopes import Trusting, trusted

KEY = "k" * 32
TOKEN = sign("order-7~0", 2_000, KEY.encode())
STATUSES = {200, 400, 403, 404, 405, 409, 410, 413, 422}


@dataclass
class Table:
    """A host with one external promise. The transitions are the real ones."""

    records: dict[str, Record] = field(default_factory=dict)

    def reset(self, description: str) -> Record:
        record = Record(id="order-7~0", kind=Kind.EXTERNAL, args=description)
        self.records = {record.id: record}
        return record

    def enter_invocation(self, context: Any) -> None:
        """It has no time of its own."""

    def read_promise(self, promise: str) -> Record | None:
        return self.records.get(promise)

    def settle(self, promise: str, state: State, value: str) -> Written:
        written = settle(self.records.get(promise), state, value, 5)
        if isinstance(written, Record):
            self.records[promise] = written
        return written

    def now(self) -> int:
        return 1_000_000_000


def answered(table: Table, request: Any, before: Record) -> None:
    """An HTTP answer; the promise is as it was, unless a POST settled it, with JSON."""
    answer = handler(request, None)
    assert answer["statusCode"] in STATUSES
    if answer["headers"]["content-type"] == "application/json":
        json.loads(answer["body"])
    json.dumps(answer).encode()
    after = table.records[before.id]
    posted = isinstance(request, dict) and answer["statusCode"] == 200 and after.state is State.RESOLVED
    assert after == before or posted
    if after.state is State.RESOLVED:
        json.loads(after.value)


def linked(description: str, request: Any) -> None:
    """As `answered`, at a table of its own."""
    table = Table()
    os.environ["DURABLE_LINK_SECRET"] = KEY
    hosts.enter(table)  # type: ignore[arg-type]
    try:
        answered(table, request, table.reset(description))
    finally:
        hosts.leave(table)  # type: ignore[arg-type]


def token(text: str) -> None:
    """By its signature, before anything in it is read."""
    found = read(lambda text: verify(text, KEY.encode()), text)
    assert found == (("order-7~0", 2_000) if text == TOKEN else None)


class Nobody:
    """A host of an empty table, whose queues and Lambdas lead nowhere; it hears what couldn't be handled."""

    def __init__(self) -> None:
        clock = SimpleNamespace(now=lambda: NOW)
        self.ports: Any = SimpleNamespace(perform=self.perform, check=trusted, clock=clock, pool=InOrder())
        self.unhandled: list[str] = []
        self.aside: list[Held] = []

    def enter_invocation(self, context: Any, patience: float | None = None) -> None:
        """It has no time of its own."""

    def perform(self, operation: Operation) -> Any:
        match operation:
            case PeekFunction():
                return None, []
            case Settle() | Arrive():
                return Refused(Refusal.UNKNOWN, None)
            case Many():
                return [self.perform(one) for one in operation.operations]
            case PutAside():
                self.aside.append(unpacked(operation.text))
            case _ if getattr(operation, "what", "") == "unhandled":
                self.unhandled.append(str(operation.detail["error"]))  # type: ignore[union-attr]
        return None


ENTRIES: list[Callable[[Any, Any], Any]] = [sweeper.fire, deadletters.handler, resumer.handler, resumer.again]


def entered(host: Nobody, which: int, event: Any) -> Any:
    """What a Lambda of ours answers there."""
    hosts.enter(host)  # type: ignore[arg-type]
    try:
        return ENTRIES[which](event, None)
    finally:
        hosts.leave(host)  # type: ignore[arg-type]


def batch(which: int, event: Any) -> None:
    """Each record is handled, put aside, or reported by its own number; and told by an error of ours."""
    host = Nobody()
    answer = read(lambda event: entered(host, which, event), event)
    if answer is not None:
        assert all(error.startswith(("BadMessage: ", "OtherVersion: ")) for error in host.unhandled), host.unhandled
        assert len(answer["batchItemFailures"]) + len(host.aside) == len(host.unhandled)
        assert all(isinstance(one["itemIdentifier"], str) for one in answer["batchItemFailures"])


SHAPES: list[Any] = [list[dict[str, int]], bool | str, tuple[int, str], Options, Point | Color, list[Item | Point]]
SHAPES += [dict[str, Any], dict[str, float | None]]
DESCRIPTIONS = [schemas.describe(one) for one in SHAPES]
FITTING: list[Any] = [[{"a": 1}], True, [1, "x"], {"tags": ["a"], "at": "2026-01-01T00:00:00Z"}, {"x": 1}]
FITTING += [[{"price": "1"}], {}, {"a": 1.5}]


def shape(which: int, value: Any) -> None:
    """What fits the description of a type can be decoded as one, and what doesn't is told why."""
    description = DESCRIPTIONS[which]
    assert all(checking.problems(description, value))
    try:
        # As a link's handler does: no description could tell that a text isn't Unicode.
        kept = read_value(json.dumps(value), description)
    except HttpError:
        return
    if not checking.nested_too_deep([[[value]]]) and "{}" not in json.dumps(description):
        text = encode(decode(kept, SHAPES[which]), SHAPES[which])
        assert encode(decode(text, SHAPES[which]), SHAPES[which]) == text


def description(schema: Any, value: Any) -> None:
    """By hand, or by another version: what isn't understood is open."""
    if not checking.nested_too_deep(schema) and not checking.nested_too_deep(value):
        assert all(checking.problems(schema, value))


class Bucket:
    """It refuses the keys that S3's client refuses by errors of its own, which nobody would know what to do about."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}

    def put(self, key: str, text: str) -> None:
        self.objects[key] = text

    def get(self, key: str) -> str:
        assert 0 < len(key.encode()) <= 1_024
        if key not in self.objects:
            raise BadMessage(f"the object {key[:80]} is gone")
        return self.objects[key]

    def copy(self, key: str, to: str) -> None:
        self.objects[to] = self.get(key)


class Cipher:
    """Hides nothing; what was encrypted for another promise or part isn't read."""

    def encrypt(self, text: str, context: dict[str, str]) -> str:
        return f"{json.dumps(context)}\t{text}"

    def decrypt(self, text: str, context: dict[str, str]) -> str:
        head, tab, rest = text.partition("\t")
        if head != json.dumps(context) or not tab:
            raise BadMessage("it isn't of this promise")
        return rest


SEALINGS: list[Callable[[], Sealing]] = [
    Sealing,
    lambda: Sealing(cipher=Cipher()),  # type: ignore[arg-type]
    lambda: Sealing(payloads=Bucket()),
    lambda: Sealing(payloads=Bucket(), cipher=Cipher()),  # type: ignore[arg-type]
]


def stored(which: int, text: str) -> None:
    """Whatever was meant is read again, here and by a link; whatever stands there is read or refused."""
    sealing = SEALINGS[which]()
    one, link = Record(id="a~0"), Record(id="b~1", kind=Kind.FOLLOW)
    for record in (one, link):
        read(lambda stored, record=record: sealing.open(stored, record, "value"), text)  # type: ignore[misc]
    read(lambda stored: sealing.seal(Stored(stored, one.id), link.id, "value"), text)
    sealed = sealing.seal(text, one.id, "value")
    assert sealing.open(sealed, one, "value") == text
    carried = sealing.seal(Stored(sealed, one.id), link.id, "value")
    assert sealing.open(carried, link, "value") == text


@durable(name="fuzz:grows")
def grows(number: int) -> int:
    if number == 3:
        raise ValueError(number)
    return number + 1


@durable(name="fuzz:journaled")
async def journaled(items: list[int]) -> int:
    """A history of everything that a journal tells of: calls, steps, timers, deadlines, cancellations."""
    first = sum(await asyncio.gather(*(grows(item) for item in items)))
    noted = await run(str, first)
    await asyncio.sleep(5)
    with suppress(ValueError):
        await grows(3)
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            await promise(str)
    asked = promise(int)
    late = asyncio.create_task(asyncio.sleep(30))
    await asyncio.wait([asked, late], return_when=asyncio.FIRST_COMPLETED)
    return first + len(str(noted)) + await asked


class Model:
    """The engine over a store in memory, whose messages a test sends."""

    def __init__(self) -> None:
        self.store = ModelStore()
        self.operations = 0
        self.most = 200
        self.time = 1_000_000
        unused: Any = self
        self.ports = Ports(
            store=self.store,
            invoker=unused,
            timers=unused,
            signer=Trusting(),
            clock=unused,
            runner=CodeRunner(),
            watcher=unused,
            pool=InOrder(),
        )

    def now(self) -> int:
        self.time += 1
        return self.time

    def invoke(self, target: str, message: Message) -> None: ...
    def send_at(self, target: str, message: Any, at: int, upkeep: bool = False) -> None: ...
    def tell(self, told: Any) -> None: ...

    def perform(self, operation: Operation) -> Any:
        self.operations += 1
        assert self.operations < self.most, "it goes on for ever"
        return self.ports.perform(operation)

    def handle(self, message: Message) -> str:
        self.operations = 0
        return drive(respond(message, Caller("request"), Memory()), self.perform)


WORDS = {"suspended", "paused", "settled", "closed", "refused", "retrying", "yielded", "stuck"}


def history(items: list[dict[str, Any]]) -> None:
    """A run over whatever stands in the table ends, or says what is wrong; what has settled stays (I1)."""
    found: list[Record] = [record for raw in items if (record := read(to_record, raw)) is not None]
    own = next((record for record in found if parent_of(record.id) is None), None)
    if own is not None:
        # Before its deadline, and long after it.
        for now in (NOW + 200_000_000, NOW + 1_000_000_000_000):
            _resumed(own, {record.id: record for record in found}, now)


def _resumed(own: Record, before: dict[str, Record], now: int) -> None:
    model = Model()
    model.most += 20 * len(before)
    model.time = now
    model.store.records = dict(before)
    word = read(model.handle, Resume(id=own.id, cause=Cause.AGAIN))
    assert word in WORDS or word is None, word
    after = model.store.records
    # What expires earlier is of an earlier execution of the id: its steps give way.
    here = own.expires or math.inf
    ended = {
        one.id: (one.state, one.value)
        for one in before.values()
        if not one.pending and (one.expires or math.inf) >= here
    }
    assert ended == {one: (after[one].state, after[one].value) for one in ended}
    if word == "paused":
        # Its deadline may have settled it, and what its dead run hadn't come to may have been made.
        stands = after[own.id]
        assert stands.paused
        assert stands.state in (own.state, State.TIMEDOUT)
        assert {one: after[one] for one in before} == {**before, own.id: stands}
