"""Messages by the batch: those that SQS doesn't take are sent again, or their failure is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from adapter.aws.keys import Signatures
from adapter.aws.patience import passes
from adapter.aws.timers import SqsTimers
from adapter.engine.operations import BATCH, SendAt, batched
from adapter.protocol.ids import MAX_ID_CHARACTERS
from adapter.protocol.messages import Cause, Look, Resume
from adapter.protocol.promises import Firing
from adapter.protocol.times import LATEST, MINUTE, SECOND
from adapter.testing.simulated_aws.in_memory import MemoryNote
from tests.support.envelopes import Trusting

NOW = 1_000 * SECOND


class Sqs:
    """Takes what ``takes`` says, call by call; after that, everything."""

    def __init__(self, *takes: set[str], fault: bool = False) -> None:
        self._takes = list(takes)
        self._fault = fault
        self.calls: list[tuple[str, list[dict[str, Any]]]] = []

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.calls.append((QueueUrl, Entries))
        ids = [entry["Id"] for entry in Entries]
        taken = self._takes.pop(0) if self._takes else set(ids)
        refused = {"Code": "ThrottlingException", "Message": "slow down", "SenderFault": self._fault}
        return {
            "Successful": [{"Id": one} for one in ids if one in taken],
            "Failed": [{"Id": one, **refused} for one in ids if one not in taken],
        }

    @property
    def asked(self) -> list[list[str]]:
        return [[entry["Id"] for entry in entries] for _, entries in self.calls]


class Clock:
    def now(self) -> int:
        return NOW


def looks(count: int, *, upkeep: bool = True, at: int = NOW) -> tuple[SendAt, ...]:
    return tuple(SendAt("shop-f", Look(id=f"order-{number}"), at, upkeep) for number in range(count))


def test_what_a_batch_leaves_is_sent_again_at_once() -> None:
    """The port doesn't send again what SQS took."""
    client = Sqs({"0", "2"}, {"1"})
    SqsTimers(client, "timers", Clock(), Trusting(), "upkeep").send_batch(looks(4))
    assert client.asked == [["0", "1", "2", "3"], ["1", "3"], ["3"]]


@pytest.mark.parametrize("fault", [False, True])
def test_a_batch_of_which_sqs_takes_nothing_fails(fault: bool) -> None:
    """SQS answered 200 all the same. A failure that isn't the sender's fault may pass."""
    client = Sqs({"0"}, set(), fault=fault)
    with pytest.raises(ClientError, match="slow down") as raised:
        SqsTimers(client, "timers", Clock(), Trusting(), "upkeep").send_batch(looks(2))
    assert client.asked == [["0", "1"], ["1"]]
    assert passes(raised.value)


def test_a_message_that_sqs_calls_bad_is_not_asked_about_again() -> None:
    """Patience would be in vain."""
    bad = {"Code": "InvalidMessageContents", "Message": "bad", "SenderFault": True}
    client = Sqs()
    client.send_message_batch = lambda **_: {"Failed": [{"Id": "0", **bad}]}  # type: ignore[method-assign]
    with pytest.raises(ClientError, match="InvalidMessageContents") as raised:
        SqsTimers(client, "timers", Clock(), Trusting()).send_batch(looks(1))
    assert not passes(raised.value)


def test_upkeep_has_a_queue_of_its_own_where_there_is_one() -> None:
    """A user's function knows the timers' queue alone; it sends no upkeep."""
    for urls, expected in ((("timers", "upkeep"), ["timers", "upkeep"]), (("timers", ""), ["timers", "timers"])):
        client = Sqs()
        timers = SqsTimers(client, urls[0], Clock(), Trusting(), urls[1])
        timers.send_batch(looks(1, upkeep=False))
        timers.send_batch(looks(1))
        assert [url for url, _ in client.calls] == expected


@pytest.mark.parametrize(("wait", "delay"), [(0, 0), (-5, 0), (1, 1), (SECOND, 1), (SECOND + 1, 2), (60 * MINUTE, 900)])
def test_each_message_of_a_batch_has_its_own_delay(wait: int, delay: int) -> None:
    """The port rounds it up to a second, and waits no longer than SQS can."""
    client = Sqs()
    SqsTimers(client, "timers", Clock(), Trusting()).send_batch((*looks(1), *looks(1, at=NOW + wait)))
    ((_, entries),) = client.calls
    assert [entry["DelaySeconds"] for entry in entries] == [0, delay]
    assert [json.loads(entry["MessageBody"])["at"] for entry in entries] == [NOW, NOW + wait]


@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 1, 25])
def test_messages_go_in_as_few_calls_as_they_can(count: int) -> None:
    """Timers go first. No call has messages of both kinds."""
    sends = [one for pair in zip(looks(count), looks(count, upkeep=False), strict=True) for one in pair]
    batches: Any = batched(sends).operations
    assert [one for batch in batches for one in batch.sends] == [*looks(count, upkeep=False), *looks(count)]
    assert len(batches) == 2 * -(-count // BATCH)
    assert all(0 < len(batch.sends) <= BATCH and len({one.upkeep for one in batch.sends}) == 1 for batch in batches)


def test_ten_of_the_longest_messages_are_less_than_a_batch_may_have() -> None:
    """SQS took 256 KiB until 2025, and takes a mebibyte since."""
    firing = Firing(LATEST, 10**9)
    for letter in ("x", "é", "\N{GRINNING FACE}", '"'):
        longest = letter * (MAX_ID_CHARACTERS // len(letter.encode()))
        resume = Resume(id=longest, cause=Cause.TIMER, firing=firing)
        client = Sqs()
        signer = Signatures(MemoryNote(), Clock())
        SqsTimers(client, "timers", Clock(), signer).send_batch([SendAt("f" * 64, resume, LATEST)] * BATCH)
        ((_, entries),) = client.calls
        assert sum(len(entry["MessageBody"].encode()) for entry in entries) < 256 * 1024
