"""Encoded values, arguments and exceptions with anything in them: read or refused; nothing is imported, nothing run."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec import Runtime, Signature, decode, encode
from adapter.codec.exceptions import decode_exception, encode_exception
from adapter.engine import registry
from adapter.errors import CodecError, DurableError, RemoteError, UnknownFunction
from adapter.protocol.messages import MARK, VERSION, parse_timed
from adapter.protocol.retries import Retry
from adapter.protocol.retries import read as read_policy
from tests.faults.fuzz import laws
from tests.faults.fuzz.ear import HEARD, listening
from tests.faults.fuzz.laws import ARGUMENTS, EXAMPLES, SIGNATURE, Color, Item, Point, charge, read
from tests.faults.fuzz.strategies import NAMES, jsons, quick, swollen


@quick
@given(which=st.sampled_from(range(len(EXAMPLES))), data=st.data())
def test_a_value_is_read_or_refused(which: int, data: st.DataObject) -> None:
    """The codec stores what it read as a value that it reads the same."""
    annotation, example = EXAMPLES[which]
    text = data.draw(jsons([json.loads(encode(example, annotation))]))
    laws.value(which, swollen(text))


@pytest.mark.parametrize("offset", [1, -1, 999_999])
@pytest.mark.parametrize(
    "value", [dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.time(3, tzinfo=dt.UTC)], ids=["datetime", "time"]
)
def test_an_offset_that_python_reads_as_none_is_refused(value: Any, offset: int) -> None:
    """Once it came back as UTC: another instant, and no error."""
    with pytest.raises(CodecError, match="offset"):
        encode(value.replace(tzinfo=dt.timezone(dt.timedelta(microseconds=offset))), type(value))


@pytest.mark.parametrize("kind", [dt.datetime, dt.time])
def test_a_moment_with_an_offset_and_a_zone_is_refused(kind: Any) -> None:
    """Once the codec dropped the offset: another instant, and no error."""
    text = "2026-01-01T00:00:00" if kind is dt.datetime else "00:00:00"
    tag = f"${kind.__name__}"
    assert decode(json.dumps({tag: text, "zone": "Europe/Berlin"}), kind).tzinfo is not None
    with pytest.raises(CodecError, match="both"):
        decode(json.dumps({tag: f"{text}+05:00", "zone": "Europe/Berlin"}), kind)


_BUILT: list[object] = []


@dataclass
class Left:
    next: Left | Right | None
    x: int = 0

    def __post_init__(self) -> None:
        _BUILT.append(self)


@dataclass
class Right:
    next: Left | Right | None
    y: int = 0

    def __post_init__(self) -> None:
        _BUILT.append(self)


@pytest.mark.parametrize("innermost", ["null", "5"], ids=["valid", "invalid"])
def test_guessing_the_members_of_nested_unions_is_linear(innermost: str) -> None:
    """The holder of a link can send this: 90 levels once took 2 ** 90 attempts."""
    depth = 90
    _BUILT.clear()
    text = '{"next": ' * depth + innermost + ', "y": 1}' * depth
    if innermost == "null":
        decoded = decode(text, Left | Right)
        assert isinstance(decoded, Right)
        assert isinstance(decoded.next, Right)
        assert len(_BUILT) <= 2 * depth
    else:
        with pytest.raises(CodecError):
            decode(text, Left | Right)
        assert _BUILT == []


@quick
@given(text=jsons([json.loads(ARGUMENTS)]))
def test_arguments_are_read_or_refused(text: str) -> None:
    """The function can be called with the arguments that the codec read."""
    laws.arguments(swollen(text))


def counted(first: int, second: int = 2, *more: int, **named: Any) -> None:
    """Whose later arguments have no place without the earlier ones."""


@pytest.mark.parametrize(
    ("function", "stored"),
    [
        (charge, {"card": "4711", "item": {"price": "1"}, "extra": {"card": "RED"}}),
        (charge, {"card": "4711", "item": {"price": "1"}, "extra": {"times": "RED"}}),
        (counted, {"first": 1, "more": [3]}),
        (counted, {"first": 1, "named": {"more": 1, "first": 1}}),
    ],
    ids=range(4),
)
def test_arguments_that_the_function_cannot_be_called_with_are_refused(function: Any, stored: Any) -> None:
    """The codec refuses them, not Python's TypeError. The third was a call with ``named={"more": (3,)}``."""
    with pytest.raises(CodecError, match="f\\(\\)"):
        Signature(function, "f").decode_args(json.dumps(stored))


def test_arguments_of_every_kind_are_still_read() -> None:
    """Some are empty."""
    read_by = Signature(counted, "f").decode_args
    assert read_by('{"first": 1}') == ((1,), {})
    assert read_by('{"first": 1, "more": [], "named": {}}') == ((1,), {})
    assert read_by('{"first": 1, "second": 5, "more": [3], "named": {"more": 4}}') == ((1, 5, 3), {"more": 4})


@dataclass
class Leaf:
    colors: dict[str, list[tuple[Color, ...]]]


@dataclass
class Node:
    next: Node | None = None
    leaf: Leaf | None = None


def grown(node: Node) -> Node:
    return node


def test_data_too_deep_for_the_stack_leaves_its_type_readable() -> None:
    """Once its plan, compiled where the stack ended, refused every later value in this whole process."""
    leaf = '{"leaf": {"colors": {"a": [["RED"]]}}}'
    for depth in range(200, 400):
        # Local names give it a compiler of its own, that has seen nothing yet.
        signature = Signature(grown, "grown", {"local": depth})
        with suppress(CodecError):
            signature.decode_args('{"node": ' + '{"next": ' * depth + leaf + "}" * depth + "}")
        (node,), _ = signature.decode_args('{"node": ' + leaf + "}")
        assert node == Node(leaf=Leaf({"a": [(Color.RED,)]}))


@quick
@given(text=jsons(["event", {"price": "1"}]))
def test_an_event_becomes_an_argument_or_is_refused(text: str) -> None:
    """Lambda hands over any JSON."""
    try:
        event = json.loads(swollen(text))
    except (ValueError, RecursionError):
        return
    assert isinstance(read(Signature(lambda item: item, "f").encode_event, event), str | None)


class Declined(Exception):
    def __init__(self, reason: str) -> None:
        raise AssertionError("a constructor of the user's ran on data")


def raised() -> list[Any]:
    group = ExceptionGroup("both", [KeyError("x"), OSError(2, "no", "file")])
    group.add_note("noted")
    return [json.loads(encode_exception(one)) for one in (group, ImportError("x", name="y"), ValueError(1, b"2"))]


@quick
@given(text=jsons([*raised(), {"class": f"{__name__}:Declined", "message": "m", "args": ["m"]}]))
def test_an_exception_is_read_or_refused(text: str) -> None:
    """Code can raise what the codec read. It is nobody's control flow, and crosses the next border, too."""
    laws.exception(swollen(text))


# Names in data.


class _Lazy(types.ModuleType):
    """As `importlib.util.LazyLoader` makes them: any look at it loads it."""

    def __getattribute__(self, name: str) -> Any:
        HEARD.append(f"a look at {name} of a lazy module")
        return super().__getattribute__(name)


class _Proxy:
    """As context-local proxies are: any attribute of it is somebody else's code."""

    def __getattribute__(self, name: str) -> Any:
        HEARD.append(f"a look at {name} of a proxy")
        raise LookupError(name)


class Boom(Exception):
    def __new__(cls, *args: Any) -> Boom:
        HEARD.append("a constructor")
        return super().__new__(cls, *args)


proxy = _Proxy()
# What a path through this very module would reach.
__all__ = ["os", "subprocess", "proxy"]
PLANTED = [
    *NAMES,
    "lazy_module:Error",
    f"{__name__}:proxy",
    f"{__name__}:proxy.x",
    f"{__name__}:Boom",
    "this:s",
    "os:_Environ",
]
PLANTED += [
    f"{__name__}:os.system",
    f"{__name__}:sys.exit",
    f"{__name__}:subprocess.Popen",
    "builtins:exit",
    "builtins:SystemExit",
]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], Any], str], list[str]]:
    """What is imported, executed or looked at while a name from data is read."""
    monkeypatch.setitem(sys.modules, "lazy_module", _Lazy("lazy_module"))

    def listen(reader: Callable[[str], Any], name: str) -> list[str]:
        # Once beforehand: plans are compiled, and what they need is imported, at the first use of an annotation.
        decode('"x"', Runtime)
        known = set(sys.modules)
        with listening(), suppress(DurableError):
            reader(name)
        return [*HEARD, *(f"{module} was imported" for module in set(sys.modules) - known)]

    return listen


READERS: dict[str, Callable[[str], Any]] = {
    "exception": lambda name: decode_exception(json.dumps({"class": name, "message": "m", "args": ["true"]})),
    "member of a group": lambda name: decode_exception(
        json.dumps({"class": "builtins:ExceptionGroup", "message": "m", "args": ["m"], "group": [{"class": name}]})
    ),
    "attribute": lambda name: decode_exception(
        json.dumps({"class": "builtins:ImportError", "message": "m", "attributes": {name: name, "__class__": name}})
    ),
    "union": lambda name: decode(json.dumps({"$type": name, "value": "true"}), Item | Point),
    "tag": lambda name: decode(json.dumps({f"${name}": "true"}), Runtime),
    "enum": lambda name: decode(json.dumps(name), Color),
    "field": lambda name: decode(json.dumps({"price": "1", name: 1, "__class__": name}), Item),
    "argument": lambda name: SIGNATURE.decode_args(json.dumps({name: 1, "__globals__": name})),
    "function": registry.find,
    "policy": lambda name: read_policy(
        json.dumps({**json.loads(Retry().to_text()), "on": [name], "never": [name]})
    ).again(ValueError(), 1),
    "envelope": lambda name: parse_timed({MARK: VERSION, "resume": name, "cause": name}),
}


@pytest.mark.parametrize("where", READERS)
@pytest.mark.parametrize("name", PLANTED)
def test_no_name_in_data_imports_or_runs_anything(heard: Any, where: str, name: str) -> None:
    """I7: the codec compares names with loaded classes. It doesn't even look at a lazy module."""
    assert heard(READERS[where], name) == []


def test_a_function_that_is_not_known_is_named_in_short() -> None:
    """Once the error had the whole name again."""
    with pytest.raises(UnknownFunction) as refused:
        registry.find("x" * 100_000)
    assert len(str(refused.value)) < 500


def test_the_ear_hears_what_it_is_to_hear(heard: Any) -> None:
    """Otherwise the law above would hold in vain."""
    assert heard(lambda name: compile(name, "", "eval"), "1")
    assert heard(lambda name: getattr(sys.modules["lazy_module"], "x", None), "")


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:eval", "subprocess:Popen", "nowhere:Error", "lazy_module:Error"]
)
def test_what_names_no_exception_of_this_process_is_a_remote_error(name: str) -> None:
    """The error carries the name, and the codec does nothing else with it."""
    error = decode_exception(json.dumps({"class": name, "message": "m"}))
    assert type(error) is RemoteError
    assert error.class_name in (name.replace(":", "."), name.partition(":")[2])
