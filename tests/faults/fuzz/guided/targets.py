"""What is searched: each target is a law, how bytes become its input, and inputs from real traffic to begin with."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapter import resolve
from adapter.aws.store import to_item
from adapter.codec import encode
from adapter.codec.exceptions import encode_exception
from adapter.protocol.ids import root_of
from adapter.protocol.records import Kind
from adapter.protocol.retries import Retry
from adapter.protocol.signatures import Key, Ring
from adapter.testing import LocalCloud
from tests.faults.fuzz import entries, laws
from tests.faults.fuzz.guided.mutations import text_of


@dataclass(frozen=True)
class Target:
    """``read`` gives the law's arguments of a text, or None where it has no use for it."""

    law: Callable[..., None]
    read: Callable[[str], tuple[Any, ...] | None]
    seeds: Callable[[], Sequence[str]]

    def hold(self, data: bytes) -> None:
        """Raises where the law is broken by what the bytes say."""
        arguments = self.read(text_of(data))
        if arguments is not None:
            self.law(*arguments)


def whole(text: str) -> tuple[Any, ...]:
    return (text,)


def of(kind: type | tuple[type, ...]) -> Callable[[str], tuple[Any, ...] | None]:
    """JSON of a kind, as Lambda or a client of AWS has parsed it."""

    def read(text: str) -> tuple[Any, ...] | None:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return (found,) if isinstance(found, kind) else None

    return read


def item(text: str) -> tuple[Any, ...] | None:
    """Attributes by name, each typed as DynamoDB types it, since it does."""
    found = of(dict)(text)
    return found if found and all(map(_is_typed, found[0].values())) else None


def items(text: str) -> tuple[Any, ...] | None:
    found = of(list)(text)
    return found if found and all(item(json.dumps(one)) for one in found[0]) else None


def _is_typed(value: Any) -> bool:
    match value:
        case {"S": str()} | {"BOOL": bool()} | {"NULL": True}:
            known = True
        case {"N": str(number)}:
            # It normalizes them.
            known = re.fullmatch("-?[1-9][0-9]{0,37}|0", number, re.ASCII) is not None
        case {"SS": [_, *_] as texts}:
            known = all(isinstance(one, str) for one in texts)
        case _:
            known = False
    return known and len(value) == 1


def numbered(read: Callable[[str], tuple[Any, ...] | None], many: int) -> Callable[[str], tuple[Any, ...] | None]:
    """One character chooses among ``many``; the rest is read."""

    def chosen(text: str) -> tuple[Any, ...] | None:
        found = read(text[1:]) if text else None
        return None if found is None else (ord(text[0]) % many, *found)

    return chosen


def pair(text: str) -> tuple[Any, ...] | None:
    """A list of two values."""
    found = of(list)(text)
    return tuple(found[0]) if found and len(found[0]) == 2 else None


def _described(text: str) -> tuple[Any, ...] | None:
    found = pair(text)
    return (json.dumps(found[0]), found[1]) if found else None


@functools.cache
def traffic() -> dict[str, list[str]]:
    """What one small application sends, queues, stores and streams; its history each time that it is suspended."""
    seen: dict[str, list[str]] = {"envelopes": [], "bodies": [], "history": []}
    with LocalCloud(engine="memory") as cloud:
        world: Any = cloud._world
        invoked, send = world.lambda_client._invoked, world.sqs.send_message
        world.lambda_client._invoked = lambda name, one: (seen["envelopes"].append(one.written()), invoked(name, one))
        world.sqs.send_message = lambda **one: (seen["bodies"].append(one["MessageBody"]), send(**one))
        handle = entries.journaled.with_options(id="order-7", timeout=3_600).start([1, 2])
        for seconds in (0, 10, 70, 100):
            cloud.advance(seconds)
            seen["history"].append(_history(world))
        resolve(next(one.id for one in world.records() if one.pending and one.kind is Kind.EXTERNAL), 5)
        seen["history"].append(_history(world))
        cloud.drive()
        assert handle.result() == 11
        changes = [json.dumps(change) for change in world.store.changes]
        items = [json.dumps(one) for one in json.loads(_history(world))]
    return {**seen, "changes": changes, "items": items}


def _history(world: Any) -> str:
    return json.dumps([to_item(record) for record in world.records() if root_of(record.id) == "order-7"])


def _dead() -> list[str]:
    return [
        json.dumps(
            {
                "requestContext": {"condition": "RetriesExhausted"},
                "requestPayload": json.loads(one),
                "responsePayload": {"errorType": "OtherVersion"},
            }
        )
        for one in traffic()["envelopes"]
    ]


def _forged() -> list[str]:
    """Of another key, under the name of the right one."""
    other = Ring((Key(name="key", secret=b"o" * 32),))
    return [json.dumps(other.sign(json.loads(one))) for one in traffic()["envelopes"]]


def _batches() -> list[str]:
    bodies = [{"messageId": str(number), "body": body} for number, body in enumerate(traffic()["bodies"])]
    dead = [{"messageId": str(number), "body": body} for number, body in enumerate(_dead())]
    changes = [json.loads(change) for change in traffic()["changes"]]
    return [f"{which}{json.dumps({'Records': some[-4:]})}" for which, some in enumerate((bodies, dead, changes))]


def _requests() -> list[str]:
    event = {
        "headers": {"accept": "text/html", "content-type": "application/x-www-form-urlencoded"},
        "queryStringParameters": {"token": entries.TOKEN},
        "requestContext": {"http": {"method": "POST"}},
        "body": "value=true",
        "isBase64Encoded": False,
    }
    return [
        json.dumps([description, {**event, "body": body}])
        for description in entries.DESCRIPTIONS
        for body in ("value=%7B%7D", "[[1]]", "true")
    ]


def _exceptions() -> list[str]:
    group = ExceptionGroup("both", [KeyError("x"), OSError(2, "no", "file")])
    group.add_note("noted")
    return [
        encode_exception(one)
        for one in (group, ImportError("x", name="y"), ValueError(1, b"2"), UnicodeDecodeError("a", b"b", 0, 1, "c"))
    ]


def _values() -> list[str]:
    return [f"{number}{encode(example, kind)}" for number, (kind, example) in enumerate(laws.EXAMPLES)]


def _shapes() -> list[str]:
    return [json.dumps(pair) for pair in zip(entries.DESCRIPTIONS, entries.FITTING, strict=True)]


def _fitting() -> list[str]:
    return [f"{number}{json.dumps(value)}" for number, value in enumerate(entries.FITTING)]


RULES = [["0 3 * * *", "Europe/Berlin", True, laws.NOW, None], ["rate(5 minutes)", "UTC", False, laws.NOW, 60.0]]
RULES += [["*/5 1-3 L * MON#2", "UTC", True, laws.NOW, None]]
POLICIES = [Retry().to_text(), Retry(attempts=float("inf"), never=(ValueError,), jitter=0.5).to_text()]
IDS = ["order-7", "order-7~0.2", "a~0*9", "a~1.0*12.3", "schedule:x", "ä~999"]
EVENTS = [{"headers": {"Idempotency-Key": "key"}}, {"Records": [{"messageId": "1"}]}, {"detail-type": "o", "id": "1"}]
EVENTS += [{"Records": [{"eventSource": "aws:kinesis", "eventID": "1", "kinesis": {"sequenceNumber": "7"}}]}]
EVENTS += [{"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": "b"}, "object": {"sequencer": "0A"}}}]}]
SEALED = ["0@key", "1!text", "2^a~0\n@0/1", "3=text", "0^a~0\n!x", '1{"a": 1}']

TARGETS: dict[str, Target] = {
    "envelope": Target(laws.envelope, of(object), lambda: traffic()["envelopes"]),
    "forged": Target(laws.forged, of(object), _forged),
    "timer": Target(laws.timer, whole, lambda: traffic()["bodies"]),
    "dead_letter": Target(laws.dead_letter, whole, _dead),
    "change": Target(laws.change, of(dict), lambda: traffic()["changes"]),
    "batch": Target(entries.batch, numbered(of(object), 3), _batches),
    "minute": Target(laws.minute, of(object), lambda: ['{"time": "2026-01-01T00:00:00Z"}']),
    "identity": Target(laws.identity, of(object), lambda: [json.dumps(event) for event in EVENTS]),
    "id": Target(laws.promise_id, whole, lambda: IDS),
    "item": Target(laws.item, item, lambda: traffic()["items"]),
    "index": Target(laws.index_entry, item, lambda: traffic()["items"]),
    "history": Target(entries.history, items, lambda: traffic()["history"]),
    "stored": Target(entries.stored, numbered(whole, 4), lambda: SEALED),
    "policy": Target(laws.policy, whole, lambda: POLICIES),
    "recurrence": Target(laws.recurs, whole, lambda: [json.dumps(rule) for rule in RULES]),
    "value": Target(laws.value, numbered(whole, len(laws.EXAMPLES)), _values),
    "arguments": Target(laws.arguments, whole, lambda: [laws.ARGUMENTS]),
    "exception": Target(laws.exception, whole, _exceptions),
    "request": Target(entries.linked, _described, _requests),
    "token": Target(entries.token, whole, lambda: [entries.TOKEN]),
    "shape": Target(entries.shape, numbered(of(object), len(entries.SHAPES)), _fitting),
    "description": Target(entries.description, pair, _shapes),
}
