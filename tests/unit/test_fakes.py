"""What a fake may answer. The type checker reads this file, too: an error that it must find is marked as one."""

from __future__ import annotations

from typing import Any

import pytest

from adapter import durable, errors
from adapter.engine import registry
from adapter.testing import LocalCloud


class Refused(Exception):
    """An exception that can't be made without arguments."""

    def __init__(self, code: int) -> None:
        super().__init__(code)


@durable
def charge(order: str, cents: int = 100) -> int:
    raise AssertionError("the body ran")


@durable
async def ship(order: str) -> list[str]:
    raise AssertionError("the body ran")


cloud = LocalCloud(engine="memory")
"""It isn't entered: what a fake may be is told where it is made."""


def test_the_type_checker_knows_what_a_function_returns() -> None:
    """It is the result type of the function, of a value as of a double; an async double may stand for either kind."""
    cloud.fake(charge, returns=400)
    cloud.fake(ship, returns=["parcel"])
    cloud.fake(charge, raises=Refused(7))
    cloud.fake(charge, raises=KeyError)
    cloud.fake(charge, calls=lambda order, cents=100: len(order))

    async def ships(order: str) -> list[str]:
        return [order]

    async def charges(order: str, cents: int = 100) -> int:
        return cents

    cloud.fake(ship, calls=ships)
    cloud.fake(charge, calls=charges)


def test_the_type_checker_finds_an_answer_that_does_not_fit() -> None:
    """A value that doesn't fit is refused at once at run time, too, by the function's own result type."""
    with pytest.raises(errors.CodecError, match=r"charge\(\): result: expected int"):
        cloud.fake(charge, returns="400")  # type: ignore[misc]
    with pytest.raises(errors.CodecError, match=r"ship\(\): result"):
        cloud.fake(ship, returns=[1])  # type: ignore[misc]

    def other(order: str, cents: int = 100) -> str:
        return order

    cloud.fake(charge, calls=other)  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigurationError):
        cloud.fake(charge, raises=7)  # type: ignore[call-overload]
    with pytest.raises(errors.ConfigurationError):
        cloud.fake(charge)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "exactly one of returns=, raises= and calls=; got none of them"),
        ({"returns": 1, "raises": KeyError()}, "exactly one of returns=, raises= and calls=; got returns=, raises="),
        ({"returns": 1, "raises": KeyError(), "calls": len}, "got returns=, raises=, calls="),
        ({"raises": "broken"}, "is an exception or its class, not 'broken'"),
        ({"raises": int}, "is an exception or its class"),
        ({"raises": KeyboardInterrupt()}, "is an exception or its class"),
        ({"raises": Refused}, r"Refused\(\) can't be made .*: give an instance"),
        ({"calls": 7}, "is a function, not 7"),
        ({"calls": lambda: 1}, "can't take its arguments: too many positional arguments"),
        ({"calls": lambda order, *, currency: 1}, "can't take its arguments: missing a required.* 'currency'"),
    ],
    ids=[
        "none",
        "two",
        "three",
        "no-exception",
        "no-exceptions-class",
        "no-mere-exception",
        "class",
        "no-function",
        "fewer",
        "more",
    ],
)
def test_a_fake_has_exactly_one_answer(answers: dict[str, Any], said: str) -> None:
    """The error is raised where the test asks for the fake, and names the function."""
    untyped: Any = cloud
    with pytest.raises(errors.ConfigurationError, match=said) as raised:
        untyped.fake(charge, **answers)
    assert charge.name in str(raised.value)


def test_only_a_durable_function_has_a_body_elsewhere() -> None:
    """A plain function runs where it is called."""
    plain: Any = charge.definition.function
    with pytest.raises(errors.ConfigurationError, match="only a durable function can be faked"):
        cloud.fake(plain, returns=1)


def test_none_is_an_answer() -> None:
    """It isn't the same as no answer."""

    @durable
    def forgets() -> None:
        raise AssertionError("the body ran")

    with LocalCloud(engine="memory") as open_cloud:
        open_cloud.fake(forgets, returns=None)
        open_cloud.run(forgets)
        assert open_cloud.stats.bodies[forgets] == 1


def test_what_stands_in_within_another_leaves_the_outer_one_in_place() -> None:
    """The mappings of two clouds may be equal for a while, and are two."""
    outer: dict[str, registry.Definition] = {}
    inner: dict[str, registry.Definition] = {}
    with registry.instead(outer):
        with registry.instead(inner):
            pass
        outer[charge.name] = ship.definition
        assert registry.find(charge.name) is ship.definition
        with registry.instead(inner):
            assert registry.find(charge.name) is charge.definition
    assert registry.find(charge.name) is charge.definition


def test_processes_know_no_fakes() -> None:
    """Functions run elsewhere there, by the code of their modules."""
    with pytest.raises(errors.ConfigurationError, match="runs in a process of its own, which knows no fake"):
        LocalCloud(processes=True).fake(charge, returns=1)
