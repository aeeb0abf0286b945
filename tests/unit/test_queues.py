"""A queue as Lambda's event source mapping reads it: at once, or in batches that a window lets grow."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.protocol.times import EPOCH, SECOND, Instant
from adapter.templates.template import QueueMapping, QueueSpec
from adapter.testing.simulated_aws.outages import Throttled
from adapter.testing.simulated_aws.queues import MAX_EVENT_BYTES, MemoryQueue, QueuePoller
from adapter.testing.stats import Stats

VISIBILITY = 60
Batch = list[str]


class Bench:
    """A queue, its mapping, and what the function was handed at which second."""

    def __init__(self, batch_size: int = 10, window: int = 0) -> None:
        spec = QueueSpec(name="jobs", visibility_s=VISIBILITY, retention_s=3600, dead_letters=None, max_receives=10)
        mapping = QueueMapping(
            function="work", queue="jobs", batch_size=batch_size, window_s=window, report_item_failures=True
        )
        self.now: Instant = EPOCH
        self.stats = Stats()
        self.queue = MemoryQueue(spec, lambda: self.now, lambda queue, body: None)
        self.poller = QueuePoller(self.queue, mapping, self.stats, lambda: self.now, VISIBILITY)
        self.handed: list[tuple[int, Batch]] = []
        self.refuses = 0
        self.fails: set[str] = set()

    def put(self, *bodies: str, after: int = 0) -> None:
        for body in bodies:
            self.queue.put(body, after)

    def run(self, seconds: int, limit: int | None = None) -> list[tuple[int, Batch]]:
        """Let time pass; what was handed over meanwhile."""
        self.handed = []
        for second in range(seconds + 1):
            self.now = EPOCH + second * SECOND
            while self.poller.is_ready():
                self.poller.deliver(self._work, limit)
        return self.handed

    def _work(self, function: str, event: Any, attempt: int) -> Any:
        if self.refuses:
            self.refuses -= 1
            raise Throttled(function, reserved=False)
        self.handed.append((int((self.now - EPOCH) // SECOND), [record["body"] for record in event["Records"]]))
        failed = [record["messageId"] for record in event["Records"] if record["body"] in self.fails]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def texts(count: int) -> Batch:
    return [str(number) for number in range(count)]


def test_without_a_window_what_is_there_is_handed_over_at_once() -> None:
    """The poller hands over ten messages at most."""
    bench = Bench()
    bench.put(*texts(11))
    bench.put("late", after=3)
    assert bench.run(5) == [(0, texts(10)), (0, ["10"]), (3, ["late"])]


def test_a_window_begins_with_the_first_message_and_gathers_what_comes_meanwhile() -> None:
    """The next message begins another window."""
    bench = Bench(batch_size=100, window=20)
    for after in (5, 12, 25, 26):
        bench.put(str(after), after=after)
    assert bench.run(60) == [(25, ["5", "12", "25"]), (46, ["26"])]


def test_a_batch_that_is_full_waits_no_longer() -> None:
    """The rest begins a batch of its own."""
    bench = Bench(batch_size=25, window=20)
    bench.put(*texts(30), after=2)
    assert bench.run(30) == [(2, texts(25)), (22, texts(30)[25:])]


def test_a_batch_is_handed_over_before_it_is_more_than_an_event_may_be() -> None:
    """An event may have six megabytes."""
    bench = Bench(batch_size=100, window=20)
    large = "x" * (MAX_EVENT_BYTES // 4)
    bench.put(*[large] * 6)
    assert [(at, len(batch)) for at, batch in bench.run(20)] == [(0, 4), (20, 2)]


@pytest.mark.parametrize(
    ("delays", "received", "deleted"), [([0] * 10, 1, 1), ([0] * 23, 3, 3), ([0, 4, 8], 3, 1), ([], 0, 0)]
)
def test_each_answer_of_the_queue_is_a_request_and_ten_are_deleted_together(
    delays: list[int], received: int, deleted: int
) -> None:
    """The poller receives a trickle message by message."""
    bench = Bench(batch_size=100, window=20)
    for number, delay in enumerate(delays):
        bench.put(str(number), after=delay)
    bench.run(30)
    assert bench.stats.message_requests == received + deleted


def test_what_fails_comes_again_once_it_is_visible_and_is_not_deleted() -> None:
    """It begins a window again."""
    bench = Bench(batch_size=100, window=20)
    bench.put("good", "bad")
    bench.fails = {"bad"}
    assert bench.run(VISIBILITY + 21) == [(20, ["good", "bad"]), (VISIBILITY + 21, ["bad"])]
    assert bench.stats.message_requests == 2 + 1


def test_a_batch_that_lambda_throttles_is_offered_again_as_it_was() -> None:
    """The poller offers it while its messages are hidden from others, counted from the first of them on."""
    bench = Bench(batch_size=100, window=20)
    bench.put("first")
    bench.put("second", after=10)
    bench.refuses = 2
    ((at, batch),) = bench.run(VISIBILITY)
    assert batch == ["first", "second"]
    assert 20 < at < VISIBILITY


def test_a_batch_that_is_throttled_until_its_messages_show_again_is_dropped() -> None:
    """They begin a batch anew."""
    bench = Bench(batch_size=100, window=20)
    bench.put("patient")
    bench.refuses = 10
    handed = bench.run(5 * VISIBILITY)
    assert [batch for _, batch in handed] == [["patient"]]


def test_what_a_batch_leaves_out_is_another() -> None:
    """AWS puts batches together as it likes."""
    bench = Bench(batch_size=100, window=20)
    bench.put(*texts(5))
    assert bench.run(20, limit=2) == [(20, ["0", "1"]), (20, ["2", "3"]), (20, ["4"])]
