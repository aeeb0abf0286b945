"""A record that the resumer cannot handle holds up no other, and none is lost."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.engine import hosts
from adapter.errors import BadMessage, OtherVersion
from adapter.lambdas import resumer
from adapter.lambdas.aside import KEPT, Held, packed, unpacked
from adapter.protocol.records import State, Wake
from tests.unit.resumer.table import CONTEXT, Table


def poison(table: Table, name: str, **image: Any) -> dict[str, Any]:
    record = table.settled("poison", 0)
    record["dynamodb"]["NewImage"] |= image
    record["eventID"] = name
    return record


def poisons(table: Table) -> list[dict[str, Any]]:
    empty = table.settled("poison", 0)
    del empty["dynamodb"]["NewImage"]
    return [
        empty,
        poison(table, "still pending", state={"S": "pending"}),
        poison(table, "no state", state={}),
        poison(table, "an unknown state", state={"S": "running"}),
        poison(table, "a number for a state", state={"N": "1"}),
        poison(table, "no key", pk={}),
        poison(table, "a key that no promise has", pk={"S": "poison~"}, wake={"S": "direct"}, reply_to={}),
    ]


@pytest.mark.parametrize("which", range(7))
def test_a_poison_record_fails_alone(table: Table, which: int) -> None:
    """The resumer handles the records before and after it, and those of the same parent."""
    name = f"healthy-{which}"
    table.parent(name, threshold=2)
    poisoned = poisons(table)[which]
    assert table.handle(table.settled(name, 0), poisoned, table.settled(name, 1)) == [poisoned]
    assert table.arrivals(name) == 2
    assert [promise.id for _, promise in table.invoked()] == [name]


def test_a_batch_of_poison_alone_is_reported_record_by_record(table: Table) -> None:
    """The resumer puts each aside for a person: no code of this version can ever handle it."""
    poisoned = poisons(table)
    assert table.handle(*poisoned) == poisoned
    assert set(table.queues()) == {"UnhandledRecords"}
    assert table.invoked() == []


def test_a_failing_parent_fails_all_of_its_records_and_no_others(table: Table) -> None:
    """The resumer counted none of them, so it may acknowledge none."""
    table.parent("sick")
    table.spoil("sick")
    table.parent("well", threshold=2)
    sick = [table.settled("sick", n) for n in range(3)]
    well = [table.settled("well", n) for n in range(2)]
    assert table.handle(sick[0], well[0], sick[1], well[1], sick[2]) == sick
    assert table.queues() == ["RecordsAgain"] * 3
    assert table.arrivals("well") == 2
    assert [promise.id for _, promise in table.invoked()] == ["well"]


def test_records_that_failed_are_counted_when_they_come_again(table: Table) -> None:
    """I3: a wake is late, not lost."""
    table.parent("recovers", threshold=2)
    table.spoil("recovers")
    records = [table.settled("recovers", n) for n in range(2)]
    assert table.handle(*records) == records
    assert [delay for _, delay, _ in table.sent] == [5, 5]
    again = [body for _, _, body in table.sent]
    assert table.again(*again) == []
    assert [(queue, delay) for queue, delay, _ in table.sent] == [("RecordsAgain", 15)] * 2
    again = [body for _, _, body in table.sent]
    assert [unpacked(body).tries for body in again] == [2, 2]
    table.mend("recovers")
    assert table.again(*again) == []
    assert table.sent == []
    assert table.arrivals("recovers") == 2
    assert [promise.id for _, promise in table.invoked()] == ["recovers"]


def test_what_fails_for_a_day_waits_for_a_person(table: Table) -> None:
    """The message has the record in it."""
    table.parent("never", threshold=1)
    table.spoil("never")
    raw = table.settled("never", 0)
    now = table.cloud.clock()
    for since, queue in ((now - KEPT + 1, "RecordsAgain"), (now - KEPT, "UnhandledRecords")):
        assert table.again(packed(Held(record=raw, tries=90, since=since))) == []
        assert table.queues() == [queue]
        assert unpacked(table.sent[0][2]).record == raw
        assert unpacked(table.sent[0][2]).since == since


def test_what_cannot_be_put_aside_either_is_not_acknowledged(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream gives it again, as long as it keeps it. The resumer handles others of its batch."""
    table.parent("stays", threshold=1)
    table.spoil("stays")
    table.parent("goes on", threshold=1)
    records = [table.settled("stays", 0), table.settled("goes on", 0)]
    monkeypatch.setattr(hosts.current().ports.aside, "_again", "")
    answer = resumer.handler({"Records": records}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[0]["dynamodb"]["SequenceNumber"]}]}
    assert [promise.id for _, promise in table.invoked()] == ["goes on"]


def test_what_failed_for_want_of_patience_is_put_aside_in_the_time_that_is_left(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shard waits ten seconds at most for AWS. A call without time left would fail at once."""
    table.parent("refused", threshold=1)
    table.spoil("refused")
    entered: list[Any] = []
    host = hosts.current()
    monkeypatch.setattr(host, "enter_invocation", lambda context, patience=None: entered.append(patience))
    monkeypatch.setattr(host.ports.aside, "put_aside", lambda text, again_in: entered.append("aside"))
    table.handle(table.settled("refused", 0))
    assert entered == [resumer.PATIENCE, None, "aside"]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"lambda-await":9,"record":{},"tries":1,"since":1,"why":""}'])
def test_a_message_that_is_none_of_ours_stays_in_its_queue(table: Table, body: str) -> None:
    """SQS puts it aside for a person in the end. The resumer handles those beside it."""
    table.parent(f"beside {len(body)}", threshold=1)
    good = packed(Held(record=table.settled(f"beside {len(body)}", 0), tries=1, since=1))
    assert table.again(body, good) == [body]
    assert len(table.invoked()) == 1


def test_a_large_record_is_put_aside_without_what_no_resumer_reads(table: Table) -> None:
    """A message has 256 KiB."""
    raw = table.settled("large", 0)
    raw["dynamodb"]["NewImage"]["args"] = raw["dynamodb"]["OldImage"]["args"] = {"S": "x" * 150_000}
    kept = unpacked(packed(Held(record=raw))).record
    assert len(packed(Held(record=raw))) < 10_000
    assert resumer.settlement(kept) == resumer.settlement(raw)


def test_a_record_of_the_stream_is_read_into_a_settlement(table: Table) -> None:
    """The settlement has no payload in it."""
    raw = table.settled("read", 3, State.TIMEDOUT)
    one = resumer.settlement(raw)
    assert (one.id, one.parent, one.kind, one.target) == ("read~3", "read", "call", "lambda-of-step")
    assert (one.rejected, one.canceled, one.wake, one.reply_to) == (True, True, Wake.COUNTED, "lambda-of-read")


@pytest.mark.parametrize("wake", [{"S": "fast"}, {"N": "1"}, {"NULL": True}, {}])
def test_a_wake_that_is_unknown_here_is_put_aside(table: Table, wake: dict[str, Any]) -> None:
    """I3: a person sends it again, by then perhaps to code that knows it."""
    table.parent("waked")
    raw = table.settled("waked", 0)
    raw["dynamodb"]["NewImage"]["wake"] = wake
    assert table.handle(raw) == [raw]
    with pytest.raises(BadMessage, match=r"waked~0.*in an unknown way"):
        resumer.settlement(raw)


@pytest.mark.parametrize("version", [{"N": "2"}, {"N": "0"}, {"S": "1"}, None])
def test_a_record_of_another_version_comes_again_and_others_are_handled(
    table: Table, version: dict[str, str] | None
) -> None:
    """I3: this code would lose a wake, whatever the record means to another version."""
    name = f"mixed-{list((version or {}).values())}"
    table.parent(name, threshold=2)
    raw = table.settled(name, 0)
    if version is None:
        del raw["dynamodb"]["NewImage"]["v"]
    else:
        raw["dynamodb"]["NewImage"]["v"] = version
    own = table.settled(name, 1)
    assert table.handle(raw, own) == [raw]
    assert table.queues() == ["RecordsAgain"]
    assert (table.arrivals(name), table.invoked()) == (1, [])
    with pytest.raises(OtherVersion, match="format"):
        resumer.settlement(raw)
    # As it is once its version is the one that runs here.
    raw["dynamodb"]["NewImage"]["v"] = own["dynamodb"]["NewImage"]["v"]
    assert table.handle(raw) == []
    assert [promise.id for _, promise in table.invoked()] == [name]


def test_what_is_wrong_with_a_record_is_named(table: Table) -> None:
    """An operator finds the message in the log."""
    raw = table.settled("named", 0, State.PENDING)
    with pytest.raises(BadMessage, match=r"named~0.*'pending'"):
        resumer.settlement(raw)
    with pytest.raises(BadMessage, match="unknown item"):
        resumer.settlement({})
