"""A promise as an item of the table: PynamoDB's model, and the way from a record to DynamoDB's typed JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.models import Model

from adapter.errors import BadMessage, OtherVersion, PayloadTooLarge
from adapter.protocol import promises
from adapter.protocol.ids import is_id, key_of
from adapter.protocol.promises import Kind, Record, State, Wake
from adapter.protocol.timing import shard_of

MAX_TEXT_BYTES = 350_000
"""Of one item's arguments and value: DynamoDB's items hold 400 KB with everything."""


class Item(Model):
    """One promise."""

    class Meta:
        table_name = ""

    pk = UnicodeAttribute(hash_key=True)
    sk = NumberAttribute(range_key=True)
    v = NumberAttribute()
    id = UnicodeAttribute()
    kind = UnicodeAttribute()
    fn = UnicodeAttribute(null=True)
    target = UnicodeAttribute(null=True)
    args = UnicodeAttribute(null=True)
    digest = UnicodeAttribute(null=True)
    state = UnicodeAttribute()
    value = UnicodeAttribute(null=True)
    created_at = NumberAttribute()
    settled_at = NumberAttribute(null=True)
    by = UnicodeAttribute(null=True)
    by_parent = BooleanAttribute(null=True)
    wake = UnicodeAttribute(null=True)
    reply_to = UnicodeAttribute(null=True)
    seen = UnicodeAttribute(null=True)
    epoch = NumberAttribute(null=True)
    arrivals = NumberAttribute(null=True)
    threshold = NumberAttribute(null=True)
    expects = NumberAttribute(null=True)
    refusals = NumberAttribute(null=True)
    on_reject = BooleanAttribute(null=True)
    wake_at = NumberAttribute(null=True)
    sent = BooleanAttribute(null=True)
    due_shard = UnicodeAttribute(null=True)
    due_at = NumberAttribute(null=True)
    deadline = NumberAttribute(null=True)
    retry = UnicodeAttribute(null=True)
    detached_by = UnicodeAttribute(null=True)
    root = UnicodeAttribute(null=True)
    recurs = UnicodeAttribute(null=True)
    reads = UnicodeAttribute(null=True)
    awaiters = UnicodeSetAttribute(null=True)
    awaited = BooleanAttribute(null=True)
    paused = UnicodeAttribute(null=True)
    closed = BooleanAttribute(null=True)
    closed_at = NumberAttribute(null=True)
    tags = JSONAttribute(null=True)


def to_item(record: Record, model: type[Item] = Item) -> dict[str, Any]:
    """The record as DynamoDB's typed JSON; what is empty isn't stored."""
    pk, sk = key_of(record.id)
    item = model(
        pk=pk,
        sk=sk,
        v=promises.VERSION,
        id=record.id,
        kind=record.kind.value,
        fn=record.fn or None,
        target=record.target or None,
        args=record.args or None,
        digest=record.digest or None,
        state=record.state.value,
        value=record.value or None,
        created_at=record.created_at,
        settled_at=record.settled_at or None,
        by=record.by or None,
        by_parent=record.by_parent or None,
        wake=record.wake.value if record.wake else None,
        reply_to=record.reply_to or None,
        seen=record.seen,
        epoch=record.epoch or None,
        arrivals=record.arrivals or None,
        threshold=record.threshold,
        expects=record.expects,
        refusals=record.refusals or None,
        on_reject=record.on_reject or None,
        wake_at=record.wake_at,
        sent=record.sent or None,
        due_shard=None if record.due_at is None else shard_of(record.id),
        due_at=record.due_at,
        deadline=record.deadline,
        retry=record.retry or None,
        root=record.root or None,
        detached_by=record.detached_by or None,
        recurs=record.recurs or None,
        reads=record.reads or None,
        awaiters=set(record.awaiters) or None,
        # The stream's filter can't look for a set.
        awaited=bool(record.awaiters) or None,
        paused=record.paused or None,
        closed=record.closed or None,
        closed_at=record.closed_at or None,
        tags=dict(record.tags) or None,
    )
    serialized: dict[str, Any] = item.serialize()
    return serialized


def to_record(raw: Mapping[str, Any], model: type[Item] = Item) -> Record:
    """Read DynamoDB's typed JSON.

    Raises:
        OtherVersion: an item of a version that this code doesn't read.
        BadMessage: one that isn't a promise.
    """
    version = raw.get("v", {}).get("N")
    if not promises.is_readable(version):
        where = str(raw.get("pk", {}).get("S"))[:80], raw.get("sk", {}).get("N")
        read = ", ".join(map(str, sorted(promises.READABLE)))
        raise OtherVersion(f"item {where} has format {version}, this code reads {read}: deploy one version everywhere")
    try:
        item: Any = model()
        item.deserialize(dict(raw))
        if not is_id(item.id or ""):
            raise ValueError("it has no id that a promise could have")
        if key_of(item.id) != (item.pk, item.sk):
            raise ValueError(f"its id {item.id[:80]!r} isn't that of its key")
        if item.closed is False:
            raise ValueError("closed is stored only where it is true")
        return Record(
            id=item.id,
            kind=Kind(item.kind),
            fn=item.fn or "",
            target=item.target or "",
            args=item.args or "",
            digest=item.digest or "",
            state=State(item.state),
            value=item.value or "",
            created_at=_whole(item.created_at),
            settled_at=_whole(item.settled_at or 0),
            by=item.by or "",
            by_parent=bool(item.by_parent),
            wake=Wake(item.wake) if item.wake else None,
            reply_to=item.reply_to or "",
            seen=item.seen,
            epoch=_whole(item.epoch or 0),
            arrivals=_whole(item.arrivals or 0),
            threshold=_optional(item.threshold),
            expects=_optional(item.expects),
            refusals=_whole(item.refusals or 0),
            on_reject=bool(item.on_reject),
            wake_at=_optional(item.wake_at),
            sent=bool(item.sent),
            due_at=_optional(item.due_at),
            deadline=_optional(item.deadline),
            retry=item.retry or "",
            root=item.root or "",
            detached_by=item.detached_by or "",
            recurs=item.recurs or "",
            reads=item.reads or "",
            awaiters=frozenset(item.awaiters or ()),
            paused=item.paused or "",
            closed=bool(item.closed),
            closed_at=_whole(item.closed_at or 0),
            tags=_tags(item.tags),
        )
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError, RecursionError) as unreadable:
        raise BadMessage(f"an item isn't a promise: {str(unreadable)[:300]}") from unreadable


def _optional(number: float | None) -> int | None:
    return None if number is None else _whole(number)


def _whole(number: float) -> int:
    """Conditions compare what is stored: a number that is read as another one would be refused for ever."""
    if number != int(number):
        raise ValueError(f"{number} isn't a whole number")
    return int(number)


def _tags(tags: Any) -> dict[str, str]:
    if not isinstance(tags or {}, dict) or not all(isinstance(value, str) for value in (tags or {}).values()):
        raise ValueError("its tags aren't texts by name")
    return tags or {}


def check_size(promise: str, *texts: str) -> None:
    """Raise PayloadTooLarge where an item couldn't hold the texts."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    if size > MAX_TEXT_BYTES:
        raise PayloadTooLarge(
            f"{promise}: {size} bytes of arguments or result; an item takes {MAX_TEXT_BYTES} of them, a bucket more:"
            " set DURABLE_BUCKET to its name"
        )
