"""What holds of whatever comes from outside: it is read as what it is, or refused by an error of ours. Never a third.

Each law takes one input, and raises where it is broken. Hypothesis draws inputs for them from what is likely to hurt
(``test_*.py`` beside this), libFuzzer from what reaches code that nothing has reached before (``guided``).
"""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from adapter.aws import store
from adapter.aws.store import to_item, to_record
from adapter.codec import Runtime, Signature, decode, encode
from adapter.codec.exceptions import decode_exception, encode_exception
from adapter.engine.events import Submission, submissions
from adapter.engine.operations import Create, Now, ReadPromise
from adapter.errors import CodecError, DurableError
from adapter.lambdas import deadletters, resumer, sweeper
from adapter.lambdas.batches import records_of
from adapter.lambdas.occurrences import occur
from adapter.protocol import ids, retries
from adapter.protocol.ids import check_root_id, child_id, is_id, key_of, ordinal_of, parent_of
from adapter.protocol.messages import Resume, Settlement, Start, is_envelope, parse, parse_timed, to_event
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.protocol.signatures import Key, Ring
from adapter.protocol.times import LATEST
from adapter.protocol.timing import Due
from tests.support.envelopes import trusted

RING = Ring((Key(name="key", secret=b"k" * 32),))


def read(parser: Callable[[Any], Any], data: Any) -> Any:
    """What the parser reads, or None where it refuses; whatever else it raises breaks a law."""
    try:
        return parser(data)
    except DurableError as error:
        text = str(error)
    assert 0 < len(text) < 2_000, "an error says what is wrong, and isn't the whole input again"
    return None


def envelope(event: Any) -> None:
    """What is read says the same when it is written again."""
    message = read(parse_timed, event)
    if message is not None:
        assert parse_timed(json.loads(json.dumps(to_event(message)))) == message
        assert is_id(message.id)
    assert isinstance(read(parse, event), Start | Resume | None)


def forged(event: Any) -> None:
    """Who hasn't the key can't speak as we do, whatever the event says; and what it says raises nothing of its own."""
    if is_envelope(event):
        assert not RING.signed(event)


def timer(body: str) -> None:
    """What is read is due at a time that will come."""
    found = read(lambda text: sweeper.read(text, trusted), body)
    if found is not None:
        target, message, at = found
        assert isinstance(target, str)
        assert type(at) is int
        assert 0 <= at < LATEST
        assert parse_timed(to_event(message)) == message


def dead_letter(body: str) -> None:
    """A count that isn't one would try for ever, or at a time that is none."""
    found = read(lambda text: deadletters.read(text, trusted), body)
    assert isinstance(found, Start | Resume | None)
    assert found is None or found.crashes >= 0
    if found is not None:
        assert isinstance(deadletters.why_not_run(body), str | None)
        assert isinstance(deadletters.lambda_of(body), str)


def change(raw: dict[str, Any]) -> None:
    """What is read names promises only, and whom it wakes can be invoked."""
    one: Settlement | None = read(resumer.settlement, raw)
    if one is not None:
        assert is_id(one.id)
        assert all(map(is_id, one.awaiters))
        assert one.state is not State.PENDING
        assert one.wake is not Wake.DIRECT or one.reply_to


def minute(event: Any) -> None:
    """A time without a zone would be another one on another machine."""
    found = read(sweeper._minute, event)
    assert found is None or found % 60_000_000 == 0


def records(event: Any) -> None:
    """Of objects."""
    found = read(records_of, event)
    assert found is None or all(isinstance(record, dict) for record in found)


def identity(event: Any) -> None:
    """Whatever it is, it starts roots whose ids nobody can choose; whoever sends it chooses the key in them."""
    for submission in submissions(event, "request-1"):
        root = submission.root("a function")
        assert is_id(root)
        assert parent_of(root) is None
        assert read(check_root_id, root) is None, "no caller can choose it"
        assert to_record(to_item(Record(id=root))).id == root
        assert isinstance(read(Submission.fingerprint, submission), str | None)
        assert submission.by("request-1")


def promise_id(text: str) -> None:
    """An id has one parent, one ordinal and one key, and is made of these again."""
    read(check_root_id, text)
    if not is_id(text):
        return
    parent = parent_of(text)
    assert to_record(to_item(Record(id=text))).id == text
    if parent is None:
        assert key_of(text) == (text, -1)
        return
    assert is_id(parent)
    assert child_id(parent, ordinal_of(text)) == text
    path = text.partition("~")[2]
    assert ids.is_path(path)
    assert ids.last(path) == ordinal_of(text)


def item(raw: dict[str, Any]) -> None:
    """I6: what is read is what would be written, under the same key."""
    record = read(to_record, raw)
    if record is not None:
        again = to_item(record)
        assert to_record(again) == record
        assert (again["pk"], again["sk"]) == (raw["pk"], {"N": str(int(float(raw["sk"]["N"])))})


def index_entry(raw: dict[str, Any]) -> None:
    """By its key, for whoever has to mend it."""
    entry = store._due({"due_at": {"N": "5"}, **raw})
    assert isinstance(entry, Due) or repr(raw.get("pk", {}).get("S")) in entry


def policy(text: str, attempt: int = 1) -> None:
    """What is read decides: a time that comes, and whether there is one."""
    found = read(retries.read, text)
    if found is not None:
        delay = found.delay(attempt, "order-7")
        assert type(delay) is int
        assert 0 <= delay <= 100 * 365 * 86_400 * 1_000_000
        assert found.again(ValueError(), attempt) in (True, False)


NOW = 1_767_225_600_000_000


def recurs(text: str, at: int = NOW) -> None:
    """And nothing is created by one that is refused."""
    created: list[Record] = []

    def run(text: str) -> str:
        steps = occur("schedule:nightly", at)
        answer: Any = None
        try:
            while True:
                match steps.send(answer):
                    case ReadPromise():
                        answer = Record(
                            id="schedule:nightly", kind=Kind.SCHEDULE, wake_at=at, recurs=text, target="shop"
                        )
                    case Now():
                        answer = NOW
                    case Create(record):
                        created.append(record)
                        answer = record
                    case _:
                        answer = None
        except StopIteration as ended:
            return str(ended.value)

    assert read(run, text) in ("occurred", None)
    assert all(key_of(record.id) for record in created)


class Color(enum.Enum):
    RED = "red"


@dataclass
class Item:
    price: Decimal
    color: Color = Color.RED
    parent: Item | None = None


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Options(TypedDict, total=False):
    tags: set[str]
    at: dt.datetime


EXAMPLES: list[tuple[Any, Any]] = [
    (Item, Item(Decimal("1.50"), parent=Item(Decimal(2)))),
    (list[Item | Point], [Item(Decimal(1)), Point(1)]),
    (Options, {"tags": {"a"}, "at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}),
    (dict[UUID, bytes], {UUID(int=1): b"x"}),
    (tuple[dt.timedelta, dt.date, dt.time], (dt.timedelta(1), dt.date(2026, 1, 1), dt.time(3))),
    (int | str | None, 2**70),
    (Runtime, [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), {1, 2}, (Decimal(1),), {"$x": 1}, b"y", float("nan")]),
    (Any, {"$int": "x", "a": [1.5, None]}),
]


def value(which: int, text: str) -> None:
    """What is read is stored as a value that is read the same."""
    annotation = EXAMPLES[which][0]
    try:
        found = decode(text, annotation)
        again = encode(found, annotation)
    except CodecError:
        return
    assert encode(decode(again, annotation), annotation) == again


def charge(card: str, item: Item, *more: Point, times: int = 1, **extra: Color) -> list[int]:
    return []


SIGNATURE = Signature(charge, "shop:charge")
ARGUMENTS = SIGNATURE.encode_args(("4711", Item(Decimal(1)), Point(1)), {"times": 2, "front": Color.RED})


def arguments(text: str) -> None:
    """What is read can be called with."""
    found = read(SIGNATURE.decode_args, text)
    if found is not None:
        assert charge(*found[0], **found[1]) == []
    read(SIGNATURE.decode_result, text)


def exception(text: str) -> None:
    """What is read can be raised, and is nobody's control flow; it crosses the next border, too."""
    found = read(decode_exception, text)
    assert found is None or isinstance(found, BaseException)
    assert not isinstance(found, (SystemExit, KeyboardInterrupt, GeneratorExit))
    if found is not None:
        assert isinstance(decode_exception(encode_exception(found)), BaseException)
