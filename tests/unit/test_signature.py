"""Laws of ``adapter.codec.signature``: a call and its result are stored, whatever can be called."""

import datetime as dt
import functools
import sys
import typing
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.codec import Signature
from adapter.errors import CodecError
from tests.support.samples import Card, Movie, Point, refused, same
from tests.support.values import card, json_data, plain, texts


async def charge(order: Card, /, amount: Decimal = Decimal(1), *tips: int, note: str = "", **labels: dt.date) -> Point:
    raise NotImplementedError


def plain_function(a, b=2, *args, **kwargs):  # type: ignore[no-untyped-def]
    raise NotImplementedError


signature = Signature(charge, "charge")
amounts = st.decimals(allow_nan=False)


@settings(deadline=None)
@given(card, st.lists(st.integers(), max_size=2), st.dictionaries(texts, st.dates(), max_size=2), texts, amounts)
def test_arguments_come_back_as_they_were_passed(
    order: Card, tips: list[int], labels: dict[str, dt.date], note: str, amount: Decimal
) -> None:
    """The call is the same call, with its variadic parameters."""
    labels = {f"${key}": value for key, value in labels.items()}
    args, kwargs = signature.decode_args(signature.encode_args((order, amount, *tips), {"note": note, **labels}))
    assert same(args, (order, amount, *tips))
    assert same(kwargs, {"note": note, **labels})


@given(plain, plain)
def test_the_text_is_the_same_by_position_and_by_keyword(a: Any, b: Any) -> None:
    """How an argument is passed isn't what is passed."""
    bare = Signature(plain_function, "plain_function")
    assert bare.encode_args((a, b), {}) == bare.encode_args((), {"b": b, "a": a}) == bare.encode_args((a,), {"b": b})


def test_defaults_are_not_stored() -> None:
    """The callee's own code knows them."""
    assert signature.encode_args((Card("1"),), {}) == '{"order":{"number":"1","limit":null}}'
    assert signature.decode_args('{"order":{"number":"1"}}') == ((Card("1"),), {})


def test_errors_name_function_argument_and_path() -> None:
    """They name the whole way to the value."""
    with pytest.raises(CodecError, match=r"^charge\(\): argument 'order': \.limit: expected Decimal, got float$"):
        signature.encode_args((Card("1", 1.5),), {})  # type: ignore[arg-type]
    with pytest.raises(CodecError, match=r"^charge\(\): result: expected Point, got int$"):
        signature.encode_result(5)


def test_a_wrong_call_is_pythons_own_type_error() -> None:
    """Python raises the same for the function itself, and names it."""
    with pytest.raises(TypeError, match=r"^charge\(\) missing a required argument: 'order'$"):
        signature.encode_args((), {})
    with pytest.raises(TypeError, match=r"^len\(\) too many positional arguments$"):
        Signature(len, "len").encode_args((1, 2), {})


def test_results_come_back() -> None:
    """The return annotation reads them."""
    assert same(signature.decode_result(signature.encode_result(Point(1))), Point(1))


@pytest.mark.parametrize("text", ["[]", "{", '{"order":{"number":"1"},"other":1}', "{}", '{"order":1}'])
def test_stored_arguments_that_no_longer_fit_are_refused(text: str) -> None:
    """A deployment may have changed the parameters."""
    with pytest.raises(CodecError, match=r"^charge\(\)"):
        signature.decode_args(text)


@given(json_data)
def test_an_event_becomes_the_only_argument(event: Any) -> None:
    """The library stores any event as if it had been passed."""

    def handler(event, context=None):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    it = Signature(handler, "handler")
    try:
        text = it.encode_event(event)
    except CodecError:
        return
    args, kwargs = it.decode_args(text)
    assert it.encode_args(args, kwargs) == text


def test_events_are_validated_and_made_canonical() -> None:
    """The parameter's annotation decides. A function without parameters ignores the event."""
    no_arguments = Signature(lambda: None, "f")
    variadic = Signature(lambda *args: None, "f")
    assert no_arguments.encode_event({"a": 1}) == "{}"
    assert Signature(lambda **kw: None, "f").encode_event(1) == "{}"
    assert variadic.decode_args(variadic.encode_event(7)) == ((7,), {})
    assert signature.encode_event({"number": "1"}) == '{"order":{"number":"1","limit":null}}'
    refused(signature.encode_event, {"numbr": "1"})
    refused(signature.encode_event, object())
    with pytest.raises(CodecError, match="all of a, b are required"):
        Signature(lambda a, b: None, "f").encode_event(1)


class Service:
    def method(self, when: dt.date) -> None:
        raise NotImplementedError

    def __call__(self, when: dt.date) -> None:
        raise NotImplementedError


@functools.wraps(charge)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize("function", [Service().method, Service(), functools.partial(Service.method, Service())])
def test_any_callable_with_annotations_uses_them(function: Any) -> None:
    """It may be a method, a callable object or a partial."""
    it = Signature(function, "f")
    assert it.encode_args((dt.date(2024, 1, 2),), {}) == '{"when":"2024-01-02"}'


@pytest.mark.parametrize("function", [len, lambda obj: None, dict, print, functools.partial(max, 1), type])
def test_any_callable_without_annotations_takes_plain_json(function: Any) -> None:
    """Builtins have no annotations, and some have not even a signature."""
    it = Signature(function, "f")
    args, kwargs = it.decode_args(it.encode_args(([1],), {}))
    assert (args, kwargs) == (([1],), {})


def test_wrappers_show_what_they_wrap() -> None:
    """`inspect` does the same."""
    assert Signature(wrapped, "w").encode_args((Card("1"),), {}) == signature.encode_args((Card("1"),), {})


def _module(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": __name__}
    exec("from __future__ import annotations\n" + source, names)  # noqa: S102
    return names


def test_local_classes_are_found_by_name() -> None:
    """The function encloses them, or the namespace has them in which it was decorated."""
    names = _module(
        "from dataclasses import dataclass\n"
        "def make():\n"
        "    @dataclass\n"
        "    class Inner:\n"
        "        n: int\n"
        "        inner: Inner | None = None\n"
        "        other: Other | None = None\n"
        "    @dataclass\n"
        "    class Other:\n"
        "        n: int\n"
        "    def enclosing(x: Inner) -> Inner:\n"
        "        return Inner, Other\n"
        "    def not_enclosing(x: Inner) -> Inner:\n"
        "        pass\n"
        "    return enclosing, not_enclosing, locals()\n"
    )
    enclosing, not_enclosing, namespace = names["make"]()
    value = namespace["Inner"](1, namespace["Inner"](2), namespace["Other"](3))
    for it in (Signature(enclosing, "f"), Signature(not_enclosing, "f", namespace)):
        assert it.decode_args(it.encode_args((value,), {})) == ((value,), {})
        assert it.decode_result(it.encode_result(value)) == value
    with pytest.raises(CodecError, match=r"argument 'x': .*'Inner'.*can't|argument 'x': .*'Inner'"):
        Signature(not_enclosing, "f").encode_args((value,), {})


def test_names_may_be_defined_after_the_first_failure() -> None:
    """What can't be resolved is tried again, function and class alike."""
    names = _module("def f(x: Later) -> None: ...\ndef later(): return unset\n")
    it = Signature(names["f"], "f")
    refused(it.encode_args, (1,), {})
    names["Later"] = int
    assert it.encode_args((1,), {}) == '{"x":1}'


def test_variables_that_are_not_assigned_yet_are_passed_over() -> None:
    """An enclosing function that hasn't run to its end has empty cells."""

    def f(x: int) -> Any:
        return unset

    assert Signature(f, "f").encode_args((1,), {}) == '{"x":1}'
    unset = 1


def test_names_mean_what_they_mean_where_they_are_written() -> None:
    """Neither a nested class nor a local variable shadows a name of another class's module."""
    names = _module(
        "from dataclasses import dataclass\n"
        "Item = int\n"
        "class Order:\n"
        "    @dataclass\n"
        "    class Item:\n"
        "        n: Item\n"
    )
    nested = names["Order"].Item
    sys.modules[nested.__module__].__dict__["Item"] = int

    def f(x: Any) -> Any:
        raise NotImplementedError

    f.__annotations__["x"] = nested
    it = Signature(f, "f", {"Item": str})
    assert it.encode_args((nested(1),), {}) == '{"x":{"n":1}}'
    assert Signature(charge, "charge", charge.__globals__).encode_args((Card("1"),), {}) == signature.encode_args(
        (Card("1"),), {}
    )


def test_keyword_arguments_can_be_a_typed_dict() -> None:
    """Unpack names the whole, not each."""

    def f(**kwargs: typing.Unpack[Movie]) -> None:
        raise NotImplementedError

    it = Signature(f, "f")
    assert it.decode_args(it.encode_args((), {"title": "x", "year": 1})) == ((), {"title": "x", "year": 1})
    refused(it.encode_args, (), {"title": 1})
