"""Laws of ``adapter.codec.exceptions``: an exception crosses machines as itself, or says what it was."""

import asyncio
import gc
import json
import sys
import traceback
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.codec.exceptions import decode_exception, encode_exception
from adapter.errors import AlreadySettled, CodecError, PromiseTimeout, RemoteError, RemoteTraceback
from tests.support.effort import effort


class CardDeclined(Exception):
    """Its constructor takes other arguments than it passes on."""

    def __init__(self, order: str, *, code: int) -> None:
        super().__init__(f"order {order} declined")
        self.order = order
        self.code = code
        self.lock = object()
        self._private = 1


class Explosive(Exception):
    """Restored without its constructor, or not at all."""

    armed = True

    def __init__(self, text: str) -> None:
        if not self.armed:
            raise RuntimeError("constructed again")
        super().__init__(text)


class DiskFull(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(28, "No space left on device", path)


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Uncontrolled(BaseException):
    """An exception of a program's own that isn't an Exception."""


class Many(ExceptionGroup[Exception]):
    """A group's subclass."""


class Described(Exception):
    """Prints from its attributes alone."""

    def __init__(self, amount: Decimal) -> None:
        self.amount = amount

    def __str__(self) -> str:
        return f"{self.amount} is too much"


class Stringy(Exception):
    """Prints an argument that can't be stored."""


class Tampered(Exception):
    @property
    def __notes__(self) -> Any:
        raise RuntimeError("no notes")


def raised(exc: BaseException) -> BaseException:
    """The exception as it is after it was raised and caught."""
    try:
        raise exc
    except BaseException as caught:
        return caught


def crossed(exc: BaseException) -> BaseException:
    return decode_exception(encode_exception(exc))


def alike(restored: BaseException, original: BaseException) -> bool:
    return type(restored) is type(original) and str(restored) == str(original) and restored.args == original.args


def _validation_error() -> BaseException:
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(int).validate_python("x")
    return caught.value


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
arguments = st.lists(
    scalars | st.lists(scalars, max_size=2) | st.binary(max_size=3) | st.decimals(allow_nan=False), max_size=3
)
classes = st.sampled_from(
    [Exception, ValueError, KeyError, IndexError, RuntimeError, StopIteration, Uncontrolled, TimeoutError]
)
EXAMPLES = [
    ValueError("x"),
    KeyError("missing"),
    KeyError(("a", 1)),
    OSError(2, "No such file", "/tmp/x"),
    OSError(18, "Cross-device link", "/a", None, "/b"),
    FileNotFoundError("just text"),
    DiskFull("/data"),
    UnicodeDecodeError("utf-8", b"\xff\x00", 0, 1, "invalid start byte"),
    UnicodeEncodeError("ascii", "ü", 0, 1, "ordinal not in range"),
    SyntaxError("bad", ("f.py", 1, 2, "x y", 1, 3)),
    ImportError("no", name="mod", path="/p"),
    AttributeError("no", name="attr"),
    StopIteration(5),
    CardDeclined("o-1", code=7),
    Described(Decimal("1.50")),
    PromiseTimeout("late"),
    AlreadySettled("done", "resolved"),
    RemoteError("text", "a.B"),
    Uncontrolled("own"),
    RecursionError("deep"),
    AssertionError(),
]


@given(classes, arguments)
def test_an_exception_crosses_as_itself(kind: type[BaseException], args: list[Any]) -> None:
    """It keeps its class, its arguments and its text."""
    assert alike(crossed(raised(kind(*args))), kind(*args))


@pytest.mark.parametrize("exc", EXAMPLES, ids=lambda exc: type(exc).__name__)
def test_classes_with_state_of_their_own_cross_as_themselves(exc: BaseException) -> None:
    """They keep builtin state, attributes, and constructors with other parameters."""
    restored = crossed(raised(exc))
    assert alike(restored, exc)
    assert isinstance(restored.__cause__, RemoteTraceback)
    for name in (
        "errno",
        "filename",
        "filename2",
        "name",
        "path",
        "object",
        "value",
        "lineno",
        "code",
        "amount",
        "state",
    ):
        assert getattr(restored, name, None) == getattr(exc, name, None)


@pytest.mark.parametrize("exc", [*EXAMPLES, Silent(), Stringy(object())], ids=lambda exc: type(exc).__name__)
def test_further_hops_change_nothing(exc: BaseException) -> None:
    """The codec writes a restored exception as the text that it read. Tracebacks don't pile up."""
    once = encode_exception(crossed(raised(exc)))
    twice = encode_exception(raised(crossed(raised(decode_exception(once)))))
    assert twice == once


def test_only_what_can_be_stored_of_the_attributes_crosses() -> None:
    """Private and live attributes stay behind."""
    restored = crossed(CardDeclined("o", code=1))
    assert vars(restored) == {"order": "o", "code": 1}


def test_constructors_of_users_are_not_run() -> None:
    """They may demand other arguments or have effects."""
    text = encode_exception(Explosive("boom"))
    Explosive.armed = False
    try:
        assert alike(decode_exception(text), Exception("boom")) is False
        assert type(decode_exception(text)) is Explosive
    finally:
        Explosive.armed = True


def test_the_remote_traceback_names_where_it_was_raised() -> None:
    """It does so for its causes, too."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error
    except ValueError as error:
        restored = crossed(error)
    text = "".join(traceback.format_exception(restored))
    assert "KeyError: 'inner'" in text
    assert "test_the_remote_traceback_names_where_it_was_raised" in text
    assert text.rstrip().endswith("ValueError: outer")


def test_notes_cross() -> None:
    """Each crosses once, in order."""
    exc = ValueError("x")
    exc.add_note("first")
    exc.add_note("second")
    assert crossed(crossed(exc)).__notes__ == ["first", "second"]


def test_groups_cross_with_their_members() -> None:
    """Members cross at every level, each with its own cause."""
    group = ExceptionGroup("outer", [ValueError("a"), ExceptionGroup("inner", [CardDeclined("o", code=2)])])
    restored = crossed(raised(group))
    assert isinstance(restored, ExceptionGroup)
    assert str(restored) == str(group)
    inner = restored.exceptions[1]
    assert isinstance(inner, ExceptionGroup)
    assert type(inner.exceptions[0]) is CardDeclined
    assert isinstance(inner.exceptions[0].__cause__, RemoteTraceback)
    assert type(crossed(Many("m", [ValueError("a")]))) is Many


def test_groups_of_what_ends_a_process_become_harmless() -> None:
    """A member that may not be raised here is a RemoteError, so the group is an ordinary one."""
    restored = crossed(BaseExceptionGroup("g", [KeyboardInterrupt(), ValueError("v")]))
    assert type(restored) is ExceptionGroup
    assert [type(member) for member in restored.exceptions] == [RemoteError, ValueError]


def test_groups_nested_without_end_are_cut() -> None:
    """Encoding never fails."""
    exc: Exception = ValueError("x")
    for _ in range(50):
        exc = ExceptionGroup("g", [exc])
    assert isinstance(crossed(exc), ExceptionGroup)


@pytest.mark.parametrize("exc", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError("c")])
def test_what_ended_another_process_does_not_end_this_one(exc: BaseException) -> None:
    """Control flow stays in its process."""
    restored = crossed(exc)
    assert type(restored) is RemoteError
    assert type(exc).__name__ in restored.class_name
    assert restored.message == str(exc)


@pytest.mark.parametrize(
    "exc", [_validation_error(), Silent(), Stringy(object()), KeyError(object())], ids=lambda e: type(e).__name__
)
def test_what_cannot_be_restored_says_what_it_was(exc: BaseException) -> None:
    """It has its class and text. The text stands for arguments that can't be stored, if it prints the same."""
    restored = crossed(exc)
    if type(exc) is Stringy:
        assert alike(restored, Stringy(str(exc)))
        return
    assert isinstance(restored, RemoteError)
    assert type(exc).__name__ in restored.class_name
    assert type(exc) is Silent or restored.message == str(exc)


def test_classes_of_functions_are_known_where_they_were_raised() -> None:
    """Tests and notebooks define exceptions in functions; elsewhere, and once they are gone, they aren't found."""

    def raise_local() -> str:
        class Local(Exception):
            pass

        text = encode_exception(Local("x"))
        assert type(decode_exception(text)) is Local
        return text

    text = raise_local()
    gc.collect()
    restored = decode_exception(text)
    assert type(restored) is RemoteError
    assert "raise_local.<locals>.Local" in restored.class_name


@pytest.mark.parametrize(
    "name",
    [
        *("builtins:eval", "builtins:int", "builtins:", "builtins:ValueError.mro", "builtins:IOError", "os:system"),
        *("nowhere:Error", "", ":", "x", "adapter.errors:Exception", "sys:modules", "antigravity:Error"),
        *("a.<locals>:b", "a:b.<locals>.c"),
    ],
)
def test_names_of_anything_else_are_never_looked_up(name: str) -> None:
    """The codec finds only loaded classes of exceptions, under their own names, and imports nothing."""
    restored = decode_exception(json.dumps({"class": name, "message": "m"}))
    assert type(restored) is RemoteError
    assert restored.message == "m"
    assert "antigravity" not in sys.modules


json_data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=effort(75, 300))
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "class": st.sampled_from(["builtins:ValueError", "builtins:OSError", "builtins:ExceptionGroup"])
            | json_data,
            "message": st.text(max_size=3) | json_data,
            "args": st.just([{"$bytes": "!"}]) | json_data,
            "attributes": st.dictionaries(st.sampled_from(["args", "__class__", "x", "__dict__"]), json_data)
            | json_data,
            "notes": json_data,
            "traceback": json_data,
            "group": st.lists(json_data, max_size=2),
        },
    )
    | json_data
)
def test_foreign_json_gives_an_exception_or_is_refused(data: Any) -> None:
    """The JSON may hold anything."""
    try:
        restored = decode_exception(json.dumps(data))
    except CodecError:
        return
    assert isinstance(restored, BaseException)
    encode_exception(restored)


@pytest.mark.parametrize(
    "text", ["", "{", "1", "[" * 100_000, '{"group":[1]}', '{"class":"builtins:ValueError","message":1}']
)
def test_text_that_is_no_exception_is_refused(text: str) -> None:
    """The codec raises CodecError."""
    with pytest.raises(CodecError):
        decode_exception(text)


def test_texts_are_capped() -> None:
    """A long text loses its end, a traceback its beginning. Large arguments and attributes stay behind."""
    exc = CardDeclined("ü" * 100_000, code=1)
    exc.add_note("n" * 100_000)
    exc.__dict__["big"] = "b" * 100_000
    text = encode_exception(raised(exc))
    data = json.loads(text)
    assert len(data["message"].encode()) <= 64 * 1024
    assert len(data["traceback"].encode()) <= 8 * 1024
    assert "args" not in data
    assert data["attributes"] == {"code": 1}
    assert type(decode_exception(text)) is CardDeclined
    assert str(crossed(decode_exception(text))) == data["message"]


@pytest.mark.parametrize(
    "exc", [ValueError("\ud800"), Tampered("x"), Silent(), raised(Silent(1))], ids=lambda e: type(e).__name__
)
def test_encoding_never_fails(exc: BaseException) -> None:
    """The exception may have lone surrogates, properties that raise, or no text at all."""
    exc.__dict__["bad"] = "\ud800"
    exc.__dict__["\ud800"] = 1
    encode_exception(exc).encode()
    assert isinstance(crossed(exc), BaseException)
