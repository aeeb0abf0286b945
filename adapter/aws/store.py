"""The transitions of `adapter.protocol.promises` as conditional writes on one DynamoDB table.

PynamoDB is the table's model. Its save and update don't return the old item when a condition fails. The protocol needs
it in the same round trip, so writes go through the client that PynamoDB holds.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from adapter.aws import clients
from adapter.aws.chapters import chapter_key, is_chapter, number_of, to_chapter
from adapter.aws.chapters import to_item as chapter_item
from adapter.aws.items import Item, attributes, check_size, key, to_entry, to_item, to_record
from adapter.aws.partitions import Partitions
from adapter.errors import BadMessage
from adapter.protocol import promises, records
from adapter.protocol.chapters import Chapter
from adapter.protocol.ids import ROOT_ORDINAL, parent_of
from adapter.protocol.promises import Arming, Firing, Refusal, Refused, Written
from adapter.protocol.records import SEALED, Kind, Record, State, Wake
from adapter.protocol.times import EPOCH, LATEST, NO_TIME, SECOND, Instant, Span
from adapter.protocol.timing import Due, due_of

_RUNNABLE = "(#state = :pending OR (#state IN (:canceled, :timedout) AND attribute_not_exists(#closed)))"
_OVER = "(#state IN (:resolved, :rejected) OR (#state <> :pending AND (#kind <> :call OR attribute_exists(#closed))))"
_STATES = {":pending": {"S": State.PENDING}, ":canceled": {"S": State.CANCELED}, ":timedout": {"S": State.TIMEDOUT}}

_BRIEF = {f"#{name}": name for name in Item.get_attributes() if name not in ("args", "value")}
"""All attributes of an item but the large ones."""


class DynamoStore(Partitions):
    """`adapter.engine.ports.Store` on a table."""

    def __init__(self, table: str, region: str | None = None, endpoint: str | None = None) -> None:
        meta: dict[str, Any] = {
            "table_name": table,
            "max_pool_connections": clients.THREADS,
            "connect_timeout_seconds": clients.CONNECT,
            "read_timeout_seconds": clients.READ,
            # PynamoDB counts those after the first.
            "max_retry_attempts": clients.ATTEMPTS - 1,
        }
        if region:
            meta["region"] = region
        if endpoint:
            meta["host"] = endpoint
        model: Any = type("Item", (Item,), {"Meta": type("Meta", (), meta)})
        self._table = table
        self.client: Any = model._get_connection().connection.client

    def read_promise(self, promise: str, lagging: bool = False) -> Record | None:
        found = self.client.get_item(TableName=self._table, Key=key(promise), ConsistentRead=not lagging).get("Item")
        return None if found is None else to_record(found)

    def query(self, partition: str, first: int, last: int | None = None, lagging: bool = False) -> list[Record]:
        values = {":pk": {"S": partition}, ":first": {"N": str(first)}}
        # A removal reads thousands of children at a time, which would not all have room in its memory.
        parts = {"ProjectionExpression": ", ".join(_BRIEF), "ExpressionAttributeNames": _BRIEF} if lagging else {}
        pages = self.client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=f"pk = :pk AND sk {'>= :first' if last is None else 'BETWEEN :first AND :last'}",
            ExpressionAttributeValues=values if last is None else {**values, ":last": {"N": str(last)}},
            ConsistentRead=not lagging,
            **parts,
        )
        return [to_record(raw) for page in pages for raw in page["Items"]]

    def read_chapters(self, promise: str) -> tuple[Record | None, Sequence[Chapter]]:
        own, chapters = None, []
        for raw in self._before_children(promise, ConsistentRead=True):
            if not is_chapter(raw):
                own = to_record(raw)
            elif (chapter := to_chapter(raw)) is not None:
                chapters.append(chapter)
        return own, chapters

    def peek_chapters(self, promise: str) -> Sequence[int]:
        keys = self._before_children(promise, ProjectionExpression="pk, sk")
        return [number_of(raw) for raw in keys if is_chapter(raw)]

    def _before_children(self, promise: str, **asked: Any) -> Iterator[Mapping[str, Any]]:
        """What is in the partition of a function's first children before them: its chapters, and a root itself."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk <= :root",
            ExpressionAttributeValues={":pk": {"S": promise}, ":root": {"N": str(ROOT_ORDINAL)}},
            **asked,
        )
        return (raw for page in pages for raw in page["Items"])

    def write_chapter(self, chapter: Chapter) -> None:
        self.client.put_item(TableName=self._table, Item=chapter_item(chapter))

    def remove_chapter(self, promise: str, number: int) -> None:
        self.client.delete_item(TableName=self._table, Key=chapter_key(promise, number))

    def create(self, record: Record) -> Written:
        check_size(record.id, *(getattr(record, name) for name in SEALED))
        try:
            self.client.put_item(
                TableName=self._table,
                Item=to_item(record),
                # DynamoDB may take days to remove what has expired.
                ConditionExpression="attribute_not_exists(pk) OR #expires <= :now OR #expires < :own",
                ExpressionAttributeNames={"#expires": "expires"},
                ExpressionAttributeValues={
                    ":now": {"N": str(record.created_at // SECOND)},
                    ":own": {"N": str(_earlier_than(record))},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            return promises.create(self._standing(error), record)
        return record

    def settle(
        self,
        promise: str,
        state: State,
        value: str,
        at: Instant,
        due_at: Instant | None = None,
        by_parent: bool = False,
        unless_objects: bool = False,
        prompted_by: str = "",
        took: Span = NO_TIME,
        retries: int = 0,
    ) -> Written:
        check_size(promise, value)
        changes = {
            "state": state,
            "value": value,
            "settled_at": at,
            "by_parent": by_parent,
            "prompted_by": prompted_by,
            "took": took,
            "retries": retries,
            "expects": None,
            "due_at": None if unless_objects else due_at,
            "paused": "",
        }
        return self._update(
            promise,
            lambda standing: promises.settle(
                standing, state, value, at, due_at, by_parent, unless_objects, prompted_by, took, retries
            ),
            changes,
            condition="#state = :pending AND (attribute_not_exists(#expires) OR #expires > :now)"
            + (" AND attribute_not_exists(#objects)" if unless_objects else ""),
            values={":pending": {"S": State.PENDING}, ":now": {"N": str(at // SECOND)}},
        )

    def ask(self, promise: str) -> Written:
        return self._update(
            promise,
            promises.ask,
            {"wake": Wake.PROMPT},
            condition="#state = :pending",
            values={":pending": {"S": State.PENDING}},
        )

    def claim(
        self,
        promise: str,
        by: str,
        firing: Firing | None = None,
        due_at: Instant | None = None,
        armed: int | None = None,
    ) -> Written:
        condition = _RUNNABLE
        values: dict[str, Any] = dict(_STATES)
        if firing is not None:
            later = "#epoch > :epoch_is" if firing.epoch >= 0 else "attribute_exists(pk)"
            condition += f" AND (#wake_at = :wake_at_is OR NOT {later})"
            values |= {":wake_at_is": {"N": str(firing.at)}, ":epoch_is": {"N": str(firing.epoch)}}
        if armed is not None:
            condition += f" AND ({_equals('epoch', armed, 'armed')} OR #claimed_by = :by)"
            values |= {":armed_is": {"N": str(armed)}, ":by": {"S": by}}
        return self._update(
            promise,
            lambda standing: promises.claim(standing, by, firing, due_at, armed),
            {"claimed_by": by, "threshold": None, "expects": None, "on_reject": False, "due_at": due_at},
            add={"epoch": 1},
            condition=condition,
            values=values,
        )

    def postpone(self, promise: str, was: Instant, due_at: Instant | None) -> Written:
        return self._update(
            promise,
            lambda standing: promises.postpone(standing, was, due_at),
            {"due_at": due_at},
            condition="#due_at = :was",
            values={":was": {"N": str(was)}},
        )

    def mark_objects(self, promise: str) -> Written:
        return self._update(
            promise,
            promises.mark_objects,
            {"objects": True},
            otherwise={"due_at": EPOCH},
            condition="attribute_exists(pk)",
            values={},
        )

    def register(self, promise: str, awaiter: str) -> Written:
        return self._update(
            promise,
            lambda standing: promises.register(standing, awaiter),
            {},
            add={"awaiters": frozenset({awaiter})},
            # The size of a set is how many it has.
            condition="#state = :pending AND (attribute_not_exists(#awaiters) OR contains(#awaiters, :awaiter)"
            " OR size(#awaiters) < :most)",
            values={
                ":pending": {"S": State.PENDING},
                ":awaiter": {"S": awaiter},
                ":most": {"N": str(promises.most_awaiters(awaiter))},
            },
        )

    def arm(self, promise: str, arming: Arming) -> Written:
        changes = {
            "threshold": arming.threshold,
            "expects": arming.expects,
            "rejections": arming.rejections,
            "on_reject": arming.on_reject,
            "wake_at": arming.wake_at,
            "sent": arming.sent,
            "due_at": arming.due_at,
            "paused": "",
        }
        return self._update(
            promise,
            lambda standing: promises.arm(standing, arming),
            changes,
            add={"epoch": 1, **({"arrivals": arming.made_up} if arming.made_up else {})},
            condition=f"{_equals('epoch', arming.epoch)} AND {_not_arrived(arming)}#state = :state"
            " AND attribute_not_exists(#closed)",
            values={
                ":state": {"S": arming.state.value},
                ":epoch_is": {"N": str(arming.epoch)},
                ":rejected_arrivals_is": {"N": str(arming.rejected_arrivals)},
                ":arrivals_below": {"N": str((arming.threshold or 0) - arming.made_up)},
            },
        )

    def arrive(self, promise: str, count: int, rejected: int = 0) -> Written:
        return self._update(
            promise,
            lambda standing: promises.arrive(standing, count, rejected),
            {},
            add={"arrivals": count, **({"rejected_arrivals": rejected} if rejected else {})},
            condition=_RUNNABLE,
            values=_STATES,
        )

    def close(self, promise: str, due_at: Instant | None = None, at: Instant = EPOCH) -> Written:
        return self._update(
            promise,
            lambda standing: promises.close(standing, due_at, at),
            {"closed": True, "closed_at": at, "due_at": due_at},
            condition="attribute_exists(pk)",
            values={},
        )

    def remove(self, promise: str, created_at: Instant) -> Written:
        condition = f"#created_at = :created_at_is AND {_OVER}"
        readable = _readable()
        try:
            removed = self.client.delete_item(
                TableName=self._table,
                Key=key(promise),
                ConditionExpression=f"{condition} AND #v IN ({', '.join(readable)})",
                ExpressionAttributeNames={f"#{name}": name for name in ("created_at", "state", "kind", "closed", "v")},
                ExpressionAttributeValues={
                    ":created_at_is": {"N": str(created_at)},
                    ":pending": {"S": State.PENDING},
                    ":resolved": {"S": State.RESOLVED},
                    ":rejected": {"S": State.REJECTED},
                    ":call": {"S": Kind.CALL},
                    **readable,
                },
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            return _refused(promises.remove(self._standing(error), created_at))
        return to_record(removed["Attributes"])

    def delete(self, promise: str) -> Record | None:
        deleted = self.client.delete_item(
            TableName=self._table,
            Key=key(promise),
            # This removes nothing but a schedule.
            ConditionExpression="attribute_not_exists(pk) OR #kind = :schedule",
            ExpressionAttributeNames={"#kind": "kind"},
            ExpressionAttributeValues={":schedule": {"S": Kind.SCHEDULE.value}},
            ReturnValues="ALL_OLD",
        )
        raw = deleted.get("Attributes")
        return to_record(raw) if raw else None

    def pause(self, promise: str, why: str) -> Written:
        return self._update(
            promise,
            lambda standing: promises.pause(standing, why),
            {"paused": why},
            condition=_RUNNABLE,
            values=_STATES,
        )

    def hold(self, promise: str, why: str, since: Instant, retry_at: Instant) -> Written:
        return self._update(
            promise,
            lambda standing: promises.hold(standing, why, since, retry_at),
            {"outage": why, "outage_at": since, "retry_at": retry_at},
            condition=_RUNNABLE,
            values=_STATES,
        )

    def pin(self, promise: str, was: str, target: str, unpinned: str) -> Written:
        return self._update(
            promise,
            lambda standing: promises.pin(standing, was, target, unpinned),
            {"target": target, "unpinned": unpinned},
            condition=f"{_RUNNABLE} AND " + ("#target = :target_is" if was else "attribute_not_exists(#target)"),
            values={**_STATES, ":target_is": {"S": was}},
        )

    def due(self, shard: str, until: Instant) -> Iterator[Sequence[Due]]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at < :until",
            ExpressionAttributeValues={":shard": {"S": shard}, ":until": {"N": str(until)}},
        )
        unreadable: list[str] = []
        for page in pages:
            found = [_due(raw) for raw in page["Items"]]
            unreadable += [one for one in found if isinstance(one, str)]
            yield [one for one in found if isinstance(one, Due)]
        if unreadable:
            # Raised only now, so that all others were read.
            raise BadMessage(f"entries of the index that can't be read: {', '.join(unreadable[:10])}")

    def _update(
        self,
        promise: str,
        transition: Callable[[Record | None], Written],
        changes: Mapping[str, Any],
        *,
        add: Mapping[str, Any] | None = None,
        otherwise: Mapping[str, Any] | None = None,
        condition: str,
        values: Mapping[str, Any],
    ) -> Written:
        """One conditional update. The pure transition, applied to what stands, explains a refusal.

        ``changes`` are new values of fields. ``add`` is added to fields that others may change at the same time, and
        ``otherwise`` is for fields that have no value yet.
        """
        add, otherwise = add or {}, attributes(promise, otherwise or {})
        wanted = {**attributes(promise, {**changes, **add}), **otherwise}
        expression, names, own_values = _expression(wanted, add, otherwise)
        readable = _readable()
        condition = f"{condition} AND #v IN ({', '.join(readable)})"
        values = {**values, **readable}
        names.update({f"#{name}": name for name in _NAMED if f"#{name}" in condition})
        every = {**own_values, **{name: value for name, value in values.items() if name in condition}}
        try:
            updated = self.client.update_item(
                TableName=self._table,
                Key=key(promise),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                **({"ExpressionAttributeValues": every} if every else {}),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            return _refused(transition(self._standing(error)))
        return to_record(updated["Attributes"])

    def _standing(self, error: ClientError) -> Record | None:
        """What stands after a failed condition. Any other error goes on to Lambda's retry."""
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise error
        raw: Any = error.response.get("Item")
        return to_record(raw) if raw else None


def _earlier_than(new: Record) -> int:
    """What expires before this is an earlier execution's: see `promises.create`. Of a root only the clock tells."""
    if parent_of(new.id) is None:
        return 0
    return LATEST // SECOND if new.expires is None else new.expires


_NAMED = (
    "state",
    "expires",
    "objects",
    "closed",
    "epoch",
    "claimed_by",
    "arrivals",
    "rejected_arrivals",
    "wake_at",
    "due_at",
    "target",
    "v",
)


def _readable() -> dict[str, Any]:
    return {f":v_{version}": {"N": str(version)} for version in sorted(records.READABLE)}


def _equals(name: str, number: int, value: str = "") -> str:
    """The condition that a number equals this one, the ``value`` or that of the same name. Zero isn't stored."""
    equal = f"#{name} = :{value or name}_is"
    return f"({equal} OR attribute_not_exists(#{name}))" if number == 0 else equal


def _not_arrived(arming: Arming) -> str:
    """The opposite of what `promises.arm` asks, as the beginning of a condition."""
    same = f"{_equals('rejected_arrivals', arming.rejected_arrivals)} AND " if arming.on_reject else ""
    if arming.threshold is None:
        return same
    none = " OR attribute_not_exists(#arrivals)" if arming.threshold > arming.made_up else ""
    return f"{same}(#arrivals < :arrivals_below{none}) AND "


def _expression(
    wanted: Mapping[str, Any], adds: Container[str], otherwise: Container[str]
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """An update that sets these attributes (None: removes them).

    Those in ``adds`` are added to, and those in ``otherwise`` are set only where there are none.
    """
    stored = {name: typed for name, typed in wanted.items() if typed is not None}
    add = {name: typed for name, typed in stored.items() if name in adds}
    sets = {name: typed for name, typed in stored.items() if name not in adds}
    remove = [name for name, typed in wanted.items() if typed is None and name not in adds]
    if max(records.READABLE) == records.VERSION:
        # Code that doesn't read this version can't misread the change either. An item of a later version keeps it.
        sets["v"] = {"N": str(records.VERSION)}
    parts = []
    if sets:
        there = {name: f"if_not_exists(#{name}, :{name})" if name in otherwise else f":{name}" for name in sets}
        parts.append("SET " + ", ".join(f"#{name} = {value}" for name, value in there.items()))
    if remove:
        parts.append("REMOVE " + ", ".join(f"#{name}" for name in remove))
    if add:
        parts.append("ADD " + ", ".join(f"#{name} :{name}" for name in add))
    names = {f"#{name}": name for name in (*sets, *add, *remove)}
    values = {f":{name}": typed for name, typed in (*sets.items(), *add.items())}
    return " ".join(parts), names, values


def _due(raw: Mapping[str, Any]) -> Due | str:
    """An entry of the index; the text of its key if it can't be read."""
    try:
        due = due_of(to_entry(raw))
        if due is not None and due.target:
            return due
    except BadMessage:
        pass
    return repr((raw.get("pk", {}).get("S"), raw.get("sk", {}).get("N")))


def _refused(explained: Written) -> Refused:
    if isinstance(explained, Refused):
        return explained
    # The condition refused and the transition doesn't: the item has another version, or was written by hand.
    return Refused(Refusal.MOVED, explained)
