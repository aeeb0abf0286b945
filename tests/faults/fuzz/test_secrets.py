"""Arguments, results and messages of exceptions are in no log line, whatever goes wrong."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import io
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from adapter import Retry, attach, durable, link, promise, reject, resolve, run
from adapter.api import handles
from adapter.aws.logs import LogWatcher
from adapter.engine.operations import RunCode, Tell
from adapter.engine.telling import What
from adapter.errors import CodecError, Paused
from adapter.links.endpoint import handler
from adapter.protocol.messages import MARK, VERSION
from adapter.protocol.records import State
from adapter.testing import DurableWarning, LocalCloud
from adapter.testing.simulated_aws.lambdas import Context
from tests.support.envelopes import sent

SECRET = "4711-0815-SECRET"
KEY = "k" * 32


class Watched(LocalCloud):
    """A cloud whose Lambdas log as they do on AWS; also what Lambda itself would log of a handler that raised."""

    def __init__(self, watcher: LogWatcher) -> None:
        super().__init__()
        self.log = watcher
        self.raised: list[str] = []
        self.watchers.append(
            lambda event: self.raised.append(event.detail["error"]) if event.what == "failed" else None
        )

    def tell(self, told: Tell) -> None:
        self.log.tell(told)
        super().tell(told)


class Log:
    """Every line of Powertools' logger, and of all others from INFO on."""

    def __init__(self, cloud: Watched, stream: io.StringIO, capture: pytest.LogCaptureFixture) -> None:
        self.cloud = cloud
        self._stream = stream
        self._capture = capture

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def of(self, what: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"] == what]

    def keeps_the_secret(self) -> bool:
        gc.collect()  # what nobody retrieved is told when it is forgotten
        everything = [self._stream.getvalue(), self._capture.text, *self.cloud.raised]
        return bool(self.lines) and not any(SECRET in text for text in everything)


@pytest.fixture
def log(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    caplog.set_level(logging.INFO)
    stream = io.StringIO()
    logger = Logger(service=f"secrets-{request.node.nodeid}", level="DEBUG", stream=stream)
    with Watched(LogWatcher(logger)) as cloud:
        yield Log(cloud, stream, caplog)


@durable(name="secrets:charge", retry=Retry(attempts=2))
def charge(card: str, fail: bool = False) -> str:
    if fail:
        raise ValueError(f"declined: {card}")
    return f"charged {card}"


@durable(name="secrets:checkout")
async def checkout(card: str, fail: bool) -> str:
    noted = await run(str.upper, card)
    return noted + await charge(card, fail=fail)


def test_neither_arguments_nor_results_are_logged(log: Log) -> None:
    """The program has calls, inline steps and roots."""
    assert SECRET in log.cloud.run(checkout, SECRET, False)
    assert log.of("settled")
    assert log.keeps_the_secret()


def test_neither_failures_nor_retries_tell_what_was_raised(log: Log) -> None:
    """The table has the exception, for readers that may see it."""
    with pytest.raises(ValueError, match=SECRET):
        log.cloud.run(checkout, SECRET, True)
    assert log.of("retrying")
    assert log.keeps_the_secret()


def test_a_failure_that_nobody_heard_of_is_logged_by_its_class(log: Log) -> None:
    """The code never awaited a task, nor a promise."""

    @durable(name="secrets:unheard")
    async def unheard(card: str) -> str:
        async def stray() -> None:
            raise LookupError(card)

        task = asyncio.create_task(stray())
        ignored = charge(card, fail=True)
        await asyncio.sleep(10)
        del task, ignored
        return "done"

    with pytest.warns(DurableWarning, match="never heard"):
        assert log.cloud.run(unheard, SECRET) == "done"
    assert {line["error"] for line in log.of("unheard")} == {"LookupError", "ValueError"}
    assert log.keeps_the_secret()


def test_a_drift_is_logged_by_functions_and_ordinals_and_shown_with_arguments(log: Log) -> None:
    """A reader of the table sees both arguments, in `Paused`; a reader of the log sees where the code drifted."""
    suffix = "stored"

    @durable(name="secrets:drifts")
    async def drifts() -> str:
        first = await charge(f"{SECRET} {suffix}")
        return first + await promise(str)

    handle = drifts.with_options(id="drifting").start()
    log.cloud.drive()
    for function in log.cloud.service.functions.values():
        function.memory.clear()
    suffix = "present"
    resolve("drifting~1", SECRET)
    with pytest.raises(Paused) as paused:
        handle.result()
    assert f"{SECRET} stored" in str(paused.value)
    assert f"{SECRET} present" in str(paused.value)
    (line,) = log.of("paused")
    assert "secrets:drifts (drifting) drifted" in line["why"]
    assert line["why"].count("#0 call secrets:charge") == 2
    assert log.keeps_the_secret()


def test_dead_letters_are_logged_without_what_they_carry(log: Log) -> None:
    """A function's Lambda dies again and again, and the engine gives the function up."""
    for _ in range(9):
        log.cloud.kill(charge, RunCode, "before")
    handle = charge.with_options(id="dies").start(SECRET)
    log.cloud.advance(6 * 3_600)
    assert handle.status() != "pending"
    assert log.of("dead letter")
    assert log.of("crashed")
    assert log.keeps_the_secret()


@pytest.mark.parametrize(
    "envelope",
    [
        {MARK: SECRET, "start": "known"},
        {MARK: VERSION, "start": "known", "attempt": SECRET},
        {MARK: VERSION, "start": "known", "payload": SECRET},
        {MARK: VERSION, "start": {"card": SECRET}},
        {MARK: VERSION, "resume": "known", "cause": "mood", "card": [SECRET]},
        {MARK: {"card": SECRET}},
    ],
    ids=range(6),
)
def test_a_bad_envelope_is_logged_by_what_is_wrong_with_it(log: Log, envelope: dict[str, Any]) -> None:
    """The line has nothing else of it."""
    charge.with_options(id="known").start("other card").result()
    sent(log.cloud, "durable", envelope)
    log.cloud.advance(6 * 3_600)
    assert log.keeps_the_secret()
    assert all("BadMessage" in one or "OtherVersion" in one for one in log.cloud.raised)


def test_a_message_that_nobody_can_handle_is_logged_by_its_error(log: Log) -> None:
    """An operator finds why in the log, and no payload."""
    timers = next(m.queue for m in log.cloud.template.queue_mappings if "Timers" in m.queue or "timers" in m.queue)
    for body in (
        SECRET,
        json.dumps({"target": SECRET}),
        json.dumps({"at": SECRET, "target": SECRET, "message": SECRET}),
    ):
        log.cloud._world.send(timers, body)
    log.cloud.advance(3 * 3_600)
    assert all(
        "BadMessage: a message in the queue of timers can't be read" in one["error"] for one in log.of("unhandled")
    )
    assert log.keeps_the_secret()


def test_links_log_neither_token_nor_body(log: Log, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A refusal logs neither: only the sender learns what is wrong with a body."""
    monkeypatch.setenv("DURABLE_LINK_SECRET", KEY)

    @durable(name="secrets:asks")
    async def asks() -> int:
        return await promise(int)

    handle = asks.with_options(id="asking").start()
    log.cloud.drive()
    token = link("asking~0", expires_in=60, url="https://links.example").partition("token=")[2]
    bodies = [SECRET, json.dumps(SECRET), json.dumps({SECRET: 1}), "5", "6"]
    for used, body in [*((token, body) for body in bodies), (f"{token}x{SECRET}", "5")]:
        event = {"queryStringParameters": {"token": used}, "requestContext": {"http": {"method": "POST"}}, "body": body}
        handler(event, None)
    assert handle.result() == 5
    assert log.keeps_the_secret()
    assert token not in log._stream.getvalue() + log._capture.text
    assert capsys.readouterr() == ("", "")


def test_what_is_settled_from_outside_is_not_logged(log: Log) -> None:
    """The log has no value and no error, nor a value that its function couldn't read."""

    @durable(name="secrets:awaits")
    async def awaits() -> int:
        first = await promise(str)
        assert first
        with suppress(RuntimeError):
            await promise(str)
        return await promise(int)

    handle = awaits.with_options(id="awaiting").start()
    log.cloud.drive()
    resolve("awaiting~0", SECRET)
    log.cloud.drive()
    reject("awaiting~1", SECRET)
    log.cloud.drive()
    with pytest.raises(CodecError, match="integer") as refused:
        resolve("awaiting~2", SECRET)
    assert SECRET not in str(refused.value)
    # A writer that doesn't check, of another version, say.
    handles.settle("awaiting~2", State.RESOLVED, json.dumps(SECRET))
    with pytest.raises(Exception, match="int"):
        handle.result()
    assert attach("awaiting~0").result() == SECRET
    assert log.keeps_the_secret()


def test_the_secret_would_be_found(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise the laws above would hold in vain."""
    log.cloud.tell(Tell(What.RUNNING, "r", "f", {"why": SECRET, "attempt": 1}))
    assert not log.keeps_the_secret()


@dataclass
class Card:
    """Whose constructor tells what it was given."""

    number: str
    valid_until: dt.date
    limits: dict[str, int]

    def __post_init__(self) -> None:
        if not self.number.isdigit():
            raise ValueError(f"no card number: {self.number}")


@durable(name="secrets:register")
def register(card: Card) -> str:
    return card.number


@durable(name="secrets:two")
def two(card: str, other: str) -> str:
    return card + other


CONTEXT = Context(aws_request_id="1", function_name="f", memory_limit_in_mb=512, timeout_s=60)

UNFIT: list[tuple[Any, Any, str]] = [
    (register, {"number": SECRET, "valid_until": "2030-01-01", "limits": {}}, "register"),
    (register, {"number": "1", "valid_until": SECRET, "limits": {}}, ".valid_until: expected date$"),
    (register, {"number": "1", "valid_until": "2030-01-01", "limits": {SECRET: "x"}}, "expected int, got str$"),
    (register, {"number": "1", "valid_until": "2030-01-01", "limits": {}, SECRET: 1}, "has no such field$"),
    (register, SECRET, "expected Card, got str$"),
    (two, SECRET, "an event is one argument"),
]


@pytest.mark.parametrize(("function", "event", "told"), UNFIT)
def test_an_event_that_does_not_fit_is_refused_without_being_shown(
    log: Log, function: Any, event: Any, told: str
) -> None:
    """Lambda logs what a handler raises. The error names function, field and type."""
    with pytest.raises(CodecError, match=told) as refused:
        function(event, CONTEXT)
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    assert log.cloud.records() == []
