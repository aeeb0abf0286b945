"""Log lines tell which promise, which function and which attempt, never a payload; a replay doesn't repeat them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from adapter import durable
from adapter.aws.logs import LogWatcher, ReplayFilter, silence_replays
from adapter.engine.operations import Tell
from adapter.engine.telling import LONGEST_ID, What, loggable_id
from adapter.protocol.ids import child_id
from adapter.replay.steps import Scope, current
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from adapter.testing.stats import LOG_LINE_BYTES


class Lines:
    """A watcher whose log is read back."""

    def __init__(self, name: str) -> None:
        self.stream = io.StringIO()
        self.watcher = LogWatcher(Logger(service=name, level="DEBUG", stream=self.stream))

    def tell(self, what: What, **detail: Any) -> dict[str, Any]:
        """The one line that comes of it."""
        before = len(self.stream.getvalue())
        self.watcher.tell(Tell(what, "order-7~2", "shop:charge", detail))
        (line,) = self.stream.getvalue()[before:].splitlines()
        parsed: dict[str, Any] = json.loads(line)
        return parsed


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Lines:
    """A logger of its own: Powertools keeps them by name."""
    return Lines(f"test-{request.node.nodeid}")


@pytest.mark.parametrize("what", What)
def test_every_line_names_the_promise_the_function_and_the_attempt(lines: Lines, what: What) -> None:
    """An operator searches by these keys."""
    line = lines.tell(what)
    assert line["message"] == what
    assert (line["promise"], line["function"], line["attempt"]) == ("order-7~2", "shop:charge", 1)


@pytest.mark.parametrize(
    ("what", "level"),
    [
        (What.BODY, "DEBUG"),
        (What.RUNNING, "DEBUG"),
        (What.SETTLED, "INFO"),
        (What.REFUSED, "WARNING"),
        (What.PAUSED, "ERROR"),
    ],
)
def test_a_line_has_the_level_of_who_must_act(lines: Lines, what: What, level: str) -> None:
    """A paused execution waits for a person."""
    assert lines.tell(what)["level"] == level


@pytest.mark.parametrize("what", What)
def test_a_line_keeps_what_explains_and_drops_everything_else(lines: Lines, what: What) -> None:
    """Payloads never get into a line."""
    kept = {name: f"the {name}" for name in what.keeps}
    line = lines.tell(what, **kept, args="secret", value="secret", drift="#0 charge(secret)")
    assert {name: line[name] for name in kept} == kept
    assert "secret" not in json.dumps(line)
    assert {"args", "value", "drift"}.isdisjoint(line)


def test_a_line_names_ten_promises_at_most(lines: Lines) -> None:
    """A wide fan-out suspends again and again, waiting for thousands."""
    assert lines.tell(What.SUSPENDED, waiting=("a", "b"), wake_at=None)["waiting"] == ["a", "b"]
    named = lines.tell(What.SUSPENDED, waiting=tuple(map(str, range(1_000))), wake_at=None)["waiting"]
    assert named == [*map(str, range(10)), "and 990 more"]


def test_a_long_id_is_named_by_its_beginning_its_end_and_a_digest(lines: Lines) -> None:
    """A line is billed by its bytes, and each invocation writes one."""
    ids = [child_id("order-" + "x" * 500 + str(number), 7) for number in range(2)]
    named = lines.tell(What.SUSPENDED, waiting=(*ids, "order-7~0"), wake_at=None)["waiting"]
    assert named[2] == "order-7~0"
    assert named[0] != named[1]
    for promise, name in zip(ids, named, strict=False):
        assert name.startswith(promise[:40])
        assert promise[-24:] in name
        assert len(name) <= LONGEST_ID
    assert loggable_id("x" * LONGEST_ID) == "x" * LONGEST_ID


def test_a_line_is_as_long_as_the_bill_takes_it_to_be(lines: Lines) -> None:
    """The lines of each ordinary invocation agree with it within a fifth."""
    for what, detail in [
        (What.SETTLED, {"state": "resolved"}),
        (What.SUSPENDED, {"waiting": ("run-1~0",), "wake_at": None}),
    ]:
        line = json.dumps(lines.tell(what, **detail), separators=(",", ":"))
        names = len("order-7~2") + len("shop:charge")
        assert len(line) + 26 == pytest.approx(LOG_LINE_BYTES + names, rel=0.2)


def test_a_payload_is_in_no_line_of_a_whole_run(cloud: LocalCloud, lines: Lines) -> None:
    """The engine tells of no arguments, results or errors."""

    @durable(name="test_logs:charge")
    def charge(card: str) -> str:
        return card + card

    @durable(name="test_logs:checkout")
    async def checkout(card: str) -> str:
        return await charge(card)

    def log(event: Event) -> None:
        if isinstance(event.what, What):
            lines.watcher.tell(Tell(event.what, event.promise, event.fn, event.detail))

    cloud.watchers.append(log)
    assert cloud.run(checkout, "4711") == "47114711"
    written = [json.loads(line) for line in lines.stream.getvalue().splitlines()]
    assert {line["message"] for line in written} >= {"running", "body", "suspended", "settled", "waking"}
    assert all("4711" not in json.dumps({**line, "timestamp": ""}) for line in written)


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of user code, with one handler that has the filter."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(ReplayFilter())
    logger = logging.getLogger("test_logs.user")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield logger, stream
    logger.removeHandler(handler)


def forget(cloud: LocalCloud) -> None:
    for function in cloud.service.functions.values():
        function.memory.size = 0


def test_user_code_logs_each_line_once_however_often_it_replays(
    cloud: LocalCloud, log: tuple[logging.Logger, io.StringIO]
) -> None:
    """Its body starts from the top at every resume."""
    logger, stream = log

    @durable(name="test_logs:step")
    def step(value: int) -> int:
        logger.info("step %s", value)
        return value

    @durable(name="test_logs:logs")
    async def logs() -> int:
        logger.info("begins")
        first = await step(1)
        logger.info("between")
        second = await step(2)
        logger.info("ends")
        return first + second

    cloud.watchers.append(lambda event: forget(cloud))
    assert cloud.run(logs) == 3
    assert cloud.stats.bodies[logs] == 3
    assert stream.getvalue().split("\n") == ["begins", "step 1", "between", "step 2", "ends", ""]


@pytest.mark.parametrize("scope", [None, Scope("order-7", 0)], ids=["outside", "leaf"])
def test_what_replays_nothing_is_logged(log: tuple[logging.Logger, io.StringIO], scope: Scope | None) -> None:
    """It is code outside of durable functions, or in plain functions."""
    logger, stream = log
    token = current.set(scope)
    try:
        logger.info("heard")
    finally:
        current.reset(token)
    assert stream.getvalue() == "heard\n"


@pytest.fixture
def handlers() -> Iterator[list[logging.Handler]]:
    """A handler of the root logger and one of another; every filter that a test leaves is taken off again."""
    made: list[logging.Handler] = [logging.NullHandler(), logging.NullHandler()]
    owners = [logging.getLogger(), logging.getLogger("test_logs.other")]
    for owner, handler in zip(owners, made, strict=True):
        owner.addHandler(handler)
    yield made
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for handler in {h for logger in loggers for h in getattr(logger, "handlers", [])}:
        for one in [f for f in handler.filters if isinstance(f, ReplayFilter)]:
            handler.removeFilter(one)
    for owner, handler in zip(owners, made, strict=True):
        owner.removeHandler(handler)


def test_every_handler_gets_the_filter_once(handlers: list[logging.Handler]) -> None:
    """A warm sandbox asks at each invocation."""
    for _ in range(3):
        silence_replays()
    for handler in handlers:
        assert [type(one) for one in handler.filters] == [ReplayFilter]


def test_a_handler_that_comes_later_gets_the_filter_at_the_next_invocation(handlers: list[logging.Handler]) -> None:
    """User code sets up logging when it likes."""
    silence_replays()
    late = logging.NullHandler()
    logging.getLogger("test_logs.other").addHandler(late)
    try:
        silence_replays()
        assert [type(one) for one in late.filters] == [ReplayFilter]
    finally:
        logging.getLogger("test_logs.other").removeHandler(late)
