"""A newcomer's mistakes are told at once, by what they are called and with what to write instead."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import os
import random as chance
import socket
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from pydantic import BaseModel

from adapter import Retry, durable, errors, promise, resolve, run
from adapter.testing import DurableWarning, LocalCloud
from handlers.factorial import factorial

WHO: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(engine="memory") as made:
        yield made


@durable
def charge(order: str) -> int:
    return len(order)


class Answer(BaseModel):
    approve: bool


@durable
async def approval() -> bool:
    return (await promise(Answer)).approve


def times(by: int) -> Any:
    @durable
    def multiply(number: int) -> int:
        return number * by

    return multiply


@pytest.mark.parametrize("start", [lambda cloud, fn: fn.start(2), lambda cloud, fn: cloud.run(caller_of(fn))])
def test_two_closures_of_one_name_are_a_duplicate_name(start: Callable[..., Any], cloud: LocalCloud) -> None:
    """The call would run the last one: a wrong result, and no word about it."""
    first, last = times(2), times(3)
    with pytest.raises(errors.DuplicateName, match=r"@durable\(name=...\)"):
        start(cloud, first)
    assert cloud.run(last, 2) == 6


def caller_of(fn: Any) -> Any:
    @durable
    async def calls() -> int:
        return int(await fn(2))

    return calls


def test_closures_that_do_the_same_are_no_duplicates(cloud: LocalCloud) -> None:
    """A function that is defined again in each test, say."""
    first, _last = times(2), times(2)
    assert cloud.run(first, 2) == 4


MISUSES: dict[str, Callable[[Any], object]] = {
    "truth": lambda given: 1 if given else 0,
    "sum": lambda given: given + 1,
    "sum from the right": lambda given: 1 + given,
    "comparison": lambda given: given > 1,
    "item": lambda given: given[0],
    "attribute": lambda given: given.cents,
    "length": lambda given: len(given),
    "call": lambda given: given(),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES)
def test_a_promise_taken_for_its_value_says_that_await_is_missing(
    misuse: Callable[[Any], object], cloud: LocalCloud
) -> None:
    """The worst is ``if charge(order):``, which would always be true."""

    @durable
    async def careless() -> str:
        try:
            misuse(charge("a"))
        except (TypeError, AttributeError) as error:
            return str(error)
        return "nothing was raised"

    assert "await charge(...)" in cloud.run(careless)


def test_a_promise_in_place_of_a_value_says_so_where_it_is_stored(cloud: LocalCloud) -> None:
    """It is returned, or passed on as an argument."""

    @durable
    async def returns_it() -> int:
        return charge("a")  # type: ignore[return-value]

    @durable
    async def passes_it() -> int:
        return await charge(charge("a"))  # type: ignore[arg-type]

    for function in (returns_it, passes_it):
        with pytest.raises(errors.CodecError, match="nobody awaited: await it first"):
            cloud.run(function)


READS: dict[str, tuple[Callable[[], object], str]] = {
    "time.time": (time.time, r"adapter\.now\(\)"),
    "datetime.now": (lambda: dt.datetime.now(tz=dt.UTC), r"adapter\.now\(\)"),
    "random.randint": (lambda: chance.randint(1, 6), r"adapter\.random\(\)"),
    "random.random": (chance.random, r"adapter\.random\(\)"),
    "uuid.uuid4": (uuid.uuid4, r"adapter\.uuid4\(\)"),
    "urandom": (lambda: os.urandom(4), r"adapter\.uuid4\(\)"),
    "time.sleep": (lambda: time.sleep(0), r"asyncio\.sleep"),
    "socket": (lambda: socket.getaddrinfo("127.0.0.1", 9), r"run\(\.\.\.\)"),
}


@pytest.mark.parametrize(("read", "remedy"), READS.values(), ids=READS)
def test_what_a_replay_would_do_otherwise_is_a_warning_with_its_line(
    read: Callable[[], object], remedy: str, cloud: LocalCloud
) -> None:
    """The outcome is right today, since nothing depends on it, or nothing was replayed."""

    @durable
    async def careless() -> int:
        read_here(read)
        return await charge("a")

    with pytest.warns(DurableWarning, match=remedy) as told:
        assert cloud.run(careless) == 1
    assert {Path(each.filename).name for each in told} == {Path(__file__).name}


def read_here(read: Callable[[], object]) -> object:
    return read()


def test_what_no_replay_repeats_is_no_mistake(cloud: LocalCloud) -> None:
    """A leaf and a step may read the clock; a library may; and a generator with a seed draws the same each time."""

    @durable
    async def leaf() -> bool:
        return time.time() > 0

    @durable
    async def careful() -> bool:
        Logger(service="test").debug("a log line has a time")
        chance.Random(7).random()
        await run(time.time)
        return await leaf()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cloud.run(careful)


def test_a_drift_names_what_reads_the_clock(cloud: LocalCloud) -> None:
    """The line is beside the drift that it causes."""

    @durable
    async def careless() -> int:
        return await charge(str(time.time_ns()))

    with pytest.raises(errors.NonDeterminismError) as told:
        cloud.run(careless)
    assert "an argument comes from the clock" in str(told.value)
    assert any(f"{__file__}:" in note and "time.time_ns()" in note for note in told.value.__notes__)


def test_a_drift_says_what_the_code_does_now_and_how_to_go_on(cloud: LocalCloud) -> None:
    """A sleep was added before a call."""

    @durable
    async def checkout() -> int:
        await charge("first")
        await charge("second")
        return await promise(int)

    async def with_a_sleep() -> int:
        await charge("first")
        await asyncio.sleep(60)
        return await charge("second")

    handle = checkout.start()
    cloud.drive()
    cloud.fake(checkout, calls=with_a_sleep)
    cloud.forget()
    resolve(f"{handle.id}~2", 3)
    with pytest.raises(errors.Paused, match=r"present: it waits for a timer \(a sleep or a timeout\)") as told:
        handle.result()
    assert f"durable resume {handle.id}" in str(told.value)


class Shop:
    def method(self, order: str) -> str:
        return order

    @classmethod
    def of_class(cls, order: str) -> str:
        return order

    def __call__(self, order: str) -> str:
        return order


def handler(event: dict[str, str], context: object) -> str:
    return "done"


NO_FUNCTIONS: dict[str, tuple[Any, str]] = {
    "method": (Shop.method, "is a method"),
    "bound method": (Shop().method, "is bound to an object"),
    "class method": (Shop.of_class, "is bound to an object"),
    "classmethod": (Shop.__dict__["of_class"], "belongs to a class"),
    "staticmethod": (staticmethod(handler), "put @staticmethod above"),
    "partial": (functools.partial(max, 1), "a partial isn't one"),
    "callable object": (Shop(), "an object of class Shop"),
    "class": (Shop, "is a class"),
    "builtin": (max, "builtin_function_or_method"),
    "durable": (charge, "is durable already"),
    "handler": (handler, "drop `context`"),
    "decorated handler": (Logger(service="test").inject_lambda_context(handler), "go above @durable"),
}


@pytest.mark.parametrize(("given", "told"), NO_FUNCTIONS.values(), ids=NO_FUNCTIONS)
def test_what_cannot_be_durable_is_refused_at_its_decoration(given: Any, told: str) -> None:
    """One sentence says what to write instead."""
    with pytest.raises(TypeError, match=told):
        durable(given)


OPTIONS: dict[str, tuple[Callable[[], object], str]] = {
    "Retry(max_attempts)": (lambda: Retry(max_attempts=5), "did you mean attempts="),  # type: ignore[call-arg]
    "Retry(atempts)": (lambda: Retry(atempts=5), "did you mean attempts="),  # type: ignore[call-arg]
    "Retry(attempts='5')": (lambda: Retry(attempts="5"), "are numbers"),  # type: ignore[arg-type]
    "durable(retries)": (lambda: durable(retries=5), r"retry=Retry\(attempts=\.\.\.\)"),  # type: ignore[call-overload]
    "durable(nothing)": (lambda: durable(nothing=5), "it takes name, retry"),  # type: ignore[call-overload]
    "durable(retry=5)": (lambda: durable(retry=5), r"Retry\(attempts=5\)"),  # type: ignore[call-overload]
    "durable(timeout='5')": (lambda: durable(timeout="5"), "number of seconds"),  # type: ignore[call-overload]
    "with_options(retry=5)": (lambda: charge.with_options(retry=5), r"Retry\(attempts=5\)"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("use", "told"), OPTIONS.values(), ids=OPTIONS)
def test_an_option_that_there_is_not_names_the_right_word(use: Callable[[], object], told: str) -> None:
    """Other libraries call it otherwise."""
    with pytest.raises((TypeError, errors.ConfigurationError), match=told):
        use()


def test_a_step_sees_the_context_of_the_code_that_asked_for_it(cloud: LocalCloud) -> None:
    """As a task does. What it sets is its own."""

    def name() -> str:
        seen = WHO.get()
        WHO.set("the step")
        return seen

    async def later() -> str:
        return WHO.get()

    @durable
    async def greets() -> list[str]:
        WHO.set("Ada")
        return [await run(name), await run(later), WHO.get()]

    assert cloud.run(greets) == ["Ada", "Ada", "Ada"]


def test_a_look_without_time_hurries_nothing_up(cloud: LocalCloud) -> None:
    """On AWS ``result(timeout=0)`` is one read."""
    handle = charge.start("a")
    with pytest.raises(TimeoutError):
        handle.result(timeout=0)
    cloud.drive()
    assert handle.result(timeout=0) == 1


def test_a_value_that_does_not_fit_its_promise_is_refused_and_the_right_one_is_taken(cloud: LocalCloud) -> None:
    """Stored, it would end the execution, and the right answer would come too late."""
    handle = approval.start()
    cloud.drive()
    for wrong in ("nonsense", {"approve": "perhaps"}, {}):
        with pytest.raises(errors.CodecError, match="stays open"):
            resolve(f"{handle.id}~0", wrong)
    resolve(f"{handle.id}~0", Answer(approve=True))
    assert handle.result() is True


def test_a_target_that_no_lambda_of_the_template_has_ends_the_test() -> None:
    """On AWS it would be an outage that lasts. A function of a test itself may run anywhere."""
    with LocalCloud(engine="memory") as cloud:
        with pytest.raises(errors.ConfigurationError, match="FunctionName"):
            factorial.with_options(target="misspelt").start(3)
        assert cloud.run(charge.with_options(target="made-up"), "a") == 1
