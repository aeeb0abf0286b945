"""What others see of an execution: external promises, handles, starts, Lambda's entry."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapter import attach, cancel, durable, errors, promise, reject, resolve
from adapter.engine.operations import Settle
from adapter.testing import LocalCloud
from tests.support.laws import HOUR, Broken, slow, step

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Answer:
    text: str
    at: dt.datetime


AN_ANSWER = Answer("yes", dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC))


@durable
async def asks() -> Answer:
    return await promise(Answer)


@durable
async def asks_late() -> str:
    question = promise(dt.datetime)
    await asyncio.sleep(HOUR)
    answer = await question
    return f"{type(answer).__name__} {answer.isoformat()}"


@durable
def answer(question: str) -> None:
    # A second attempt of the step finds what the first one did.
    with contextlib.suppress(errors.AlreadySettled):
        resolve(question, AN_ANSWER)


@durable
async def asks_a_step() -> list[str]:
    question = promise(Answer)
    await answer(question.id)
    given = await question
    return [type(given).__name__, given.text, str(given.at)]


@durable
async def survives_rejection() -> str:
    try:
        return await promise(str)
    except Broken as error:
        return f"{error} {error.code}"


def test_an_external_promise_resumes_its_function_with_a_typed_value(any_cloud: LocalCloud) -> None:
    """The value is a dataclass with a datetime."""
    handle = asks.start()
    any_cloud.advance(HOUR)
    assert handle.status() == "pending"
    resolve(f"{handle.id}~0", AN_ANSWER)
    assert handle.result() == AN_ANSWER


def test_an_external_promise_may_be_settled_before_it_is_awaited(any_cloud: LocalCloud) -> None:
    """Another system settles it by what JSON has for a datetime."""
    handle = asks_late.start()
    any_cloud.advance(HOUR / 2)
    resolve(f"{handle.id}~0", dt.datetime(2026, 5, 1, tzinfo=dt.UTC))
    assert handle.result() == "datetime 2026-05-01T00:00:00+00:00"


def test_a_step_may_settle_the_promise_whose_id_it_is_handed(any_cloud: LocalCloud) -> None:
    """It needs nothing else for it."""
    assert any_cloud.run(asks_a_step) == ["Answer", "yes", "2026-05-01 12:00:00+00:00"]


def test_a_rejection_from_outside_is_raised_with_class_and_attributes(any_cloud: LocalCloud) -> None:
    """The function's await raises it."""
    handle = survives_rejection.start()
    any_cloud.advance(HOUR)
    reject(f"{handle.id}~0", Broken("no", 3))
    assert handle.result() == "no 3"


def test_the_second_settlement_is_told_what_stands(cloud: LocalCloud) -> None:
    """Both may be of any kind."""
    handle = asks.start()
    cloud.drive()
    resolve(f"{handle.id}~0", AN_ANSWER)
    for again in (
        lambda: resolve(f"{handle.id}~0", AN_ANSWER),
        lambda: reject(f"{handle.id}~0", "no"),
        lambda: cancel(f"{handle.id}~0"),
    ):
        with pytest.raises(errors.AlreadySettled) as told:
            again()
        assert told.value.state == "resolved"
    assert handle.result() == AN_ANSWER


def test_a_promise_that_does_not_exist_is_unknown_to_everyone(cloud: LocalCloud) -> None:
    """The message has its id."""
    for use in (
        lambda: resolve("nobody", 1),
        lambda: reject("nobody~0", "x"),
        lambda: cancel("nobody"),
        lambda: attach("nobody"),
    ):
        with pytest.raises(errors.UnknownPromise, match="nobody"):
            use()


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(self.number)


def test_a_value_that_does_not_fit_the_promise_is_a_codec_error_for_the_function(any_cloud: LocalCloud) -> None:
    """A schema can't say everything that a type asks for. It isn't lost: the function sees it."""

    @durable
    async def wants_an_even_number() -> str:
        try:
            return str(await promise(Even))
        except errors.CodecError as error:
            return str(error)

    handle = wants_an_even_number.start()
    any_cloud.advance(HOUR)
    resolve(f"{handle.id}~0", {"number": 7})
    assert "Even" in handle.result()


def test_starting_again_under_the_same_id_returns_the_same_execution(any_cloud: LocalCloud) -> None:
    """A caller starts it while it runs, and afterwards."""
    named = slow.with_options(id="only-once")
    first, second = named.start(7, 1), named.start(value=7, hours=1)
    assert first.id == second.id == "only-once"
    assert first.result() == 7
    assert named.start(7, 1).result() == 7
    assert attach("only-once").status() == "resolved"


def test_other_arguments_under_a_known_id_are_a_conflict(cloud: LocalCloud) -> None:
    """Another function is one, too."""
    slow.with_options(id="taken").start(7, 1)
    with pytest.raises(errors.IdConflict, match=r"taken.*other arguments"):
        slow.with_options(id="taken").start(8, 1)
    with pytest.raises(errors.IdConflict, match=r"taken.*laws:slow"):
        step.with_options(id="taken").start(7)


@pytest.mark.parametrize(
    "bad", ["", "a~b", "x" * 600, "a\nb", "schedule:a", "event:f:http:key", "report@2026-01-02T03:00:00Z"]
)
def test_an_id_that_no_root_can_have_is_refused(bad: str) -> None:
    """The error comes before the library writes anything."""
    with pytest.raises(errors.InvalidId):
        step.with_options(id=bad)


def test_result_waits_at_most_its_timeout(cloud: LocalCloud) -> None:
    """The execution goes on."""
    handle = slow.start(1, 2)
    with pytest.raises(TimeoutError):
        handle.result(timeout=HOUR)
    assert handle.status() == "pending"
    assert handle.result() == 1


def test_stuck_names_what_each_function_waits_for(cloud: LocalCloud) -> None:
    """It names functions, ids and promises."""

    @durable(name="parent of asks")
    async def parent() -> None:
        await asks()

    with pytest.raises(errors.Stuck) as stuck:
        cloud.run(parent)
    for part in ("parent of asks", "run-1~0", "test_promises:asks", "run-1~0.0"):
        assert part in str(stuck.value)


def test_stuck_names_the_invocations_that_failed() -> None:
    """Where nothing makes them again, it doesn't say that the function never ran."""
    with LocalCloud(engine="memory", template=ROOT / "infra/storage.yaml") as cloud:
        for _ in range(3):
            cloud.kill(step, Settle, "before")
        with pytest.raises(errors.Stuck) as stuck:
            cloud.run(step, 1)
    assert "3 invocations of durable in a row came to nothing; the last was killed" in str(stuck.value)
    assert "an invocation of durable failed 3 times" in str(stuck.value)
    assert "never ran" not in str(stuck.value)


def test_a_cancelled_execution_ends_and_runs_its_clean_up(any_cloud: LocalCloud) -> None:
    """The cancellation goes down the tree. Compensation may await durable calls."""
    undone: list[int] = []

    @durable
    def undo() -> None:
        undone.append(1)

    @durable
    async def inner() -> None:
        try:
            await promise(str)
        finally:
            await undo()

    @durable
    async def outer() -> None:
        await inner()

    handle = outer.start()
    any_cloud.advance(HOUR)
    handle.cancel()
    any_cloud.advance(HOUR)
    assert handle.status() == "rejected_canceled"
    assert attach(f"{handle.id}~0").status() == "rejected_canceled"
    assert attach(f"{handle.id}~0.0").status() == "rejected_canceled"
    assert undone
    with pytest.raises(errors.PromiseCancelled):
        handle.result()


@durable
async def settles_by_itself(how: str) -> None:
    mine = promise(int)
    await asyncio.sleep(1)
    {
        "resolve": lambda: resolve(mine.id, 1),
        "reject": lambda: reject(mine.id, "no"),
        "cancel": lambda: cancel(mine.id),
    }[how]()


@pytest.mark.parametrize("how", ["resolve", "reject", "cancel"])
def test_a_body_settles_promises_in_inline_steps_only(how: str, cloud: LocalCloud) -> None:
    """Each replay would settle it again, and hear that it was settled before."""
    with pytest.raises(errors.NotDurable, match="make it an inline step"):
        cloud.run(settles_by_itself, how)
