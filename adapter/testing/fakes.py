"""Functions that answer without their bodies, as a test says.

A fake stands in for the body alone: arguments, outcome, retries and records are those of a function that did so. It
holds while a Lambda of its cloud runs; the process's registry of functions never has it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Self

from adapter.api.durable import Durable
from adapter.engine.registry import Definition
from adapter.errors import ConfigurationError

Answer = Callable[..., Any]

MISSING: Final[Any] = object()
"""An answer that wasn't given: None is one."""


@dataclass(eq=False, kw_only=True)
class Fake:
    """Answers in place of a function's body: made by `LocalCloud.fake`. It ends with its ``with``, or with its cloud.

    ``calls``: the arguments of each call, by parameter name, in the order in which they came to the fake. Defaults are
    left out. A call that runs again, by a fault, a retry or a replay, is listed once.
    """

    definition: Definition
    answer: Answer
    _ended: list[Callable[[Fake], None]] = field(default_factory=list)
    _calls: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return list(self._calls.values())

    def __repr__(self) -> str:
        return f"<fake {self.definition.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._ended:
            end(self)

    def see(self, promise: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """The call of a promise comes to it."""
        if promise not in self._calls:
            # Other objects than those that the answer gets, and may change.
            signature = self.definition.signature
            self._calls[promise] = signature.by_name(*signature.decode_args(signature.encode_args(args, kwargs)))


def fake_of(fn: Durable[..., Any], *, returns: Any, raises: Any, calls: Any) -> Fake:
    """A fake with the one answer that was given.

    Raises:
        ConfigurationError: not exactly one was given, or it is no answer.
        CodecError: the function can't return this value.
    """
    if not isinstance(fn, Durable):
        raise ConfigurationError(f"only a durable function can be faked, not {fn!r}")
    given = {"returns": returns, "raises": raises, "calls": calls}
    named = [(name, value) for name, value in given.items() if value is not MISSING]
    if len(named) != 1:
        got = ", ".join(f"{name}=" for name, _ in named) or "none of them"
        raise ConfigurationError(f"a fake of {fn.name} needs exactly one of returns=, raises= and calls=; got {got}")
    ((name, value),) = named
    return Fake(definition=fn.definition, answer=_ANSWERS[name](fn.definition, value))


def _returning(definition: Definition, value: object) -> Answer:
    text = definition.encode_result(value)
    definition.signature.decode_result(text)
    # Each call has a value of its own, as each run of a body would.
    return lambda *args, **kwargs: definition.signature.decode_result(text)


def _raising(definition: Definition, error: object) -> Answer:
    made = _instance(definition, error) if isinstance(error, type) else error
    if not isinstance(made, Exception):
        raise ConfigurationError(f"raises= of a fake of {definition.name} is an exception or its class, not {error!r}")
    raised = made

    def answer(*args: Any, **kwargs: Any) -> Any:
        # Without the traceback of the calls before.
        raise raised.with_traceback(None)

    return answer


def _instance(definition: Definition, kind: type) -> object:
    try:
        return kind()
    except Exception as error:
        raise ConfigurationError(
            f"raises= of a fake of {definition.name}: {kind.__qualname__}() can't be made ({error}): give an instance"
        ) from None


def _calling(definition: Definition, function: object) -> Answer:
    if not callable(function):
        raise ConfigurationError(f"calls= of a fake of {definition.name} is a function, not {function!r}")
    _check_parameters(definition, function)
    return function


def _check_parameters(definition: Definition, function: Callable[..., Any]) -> None:
    """It takes what each call of the faked function has. What only some calls have, it may do without."""
    required = [
        one
        for one in inspect.signature(definition.function).parameters.values()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    positional = [one.name for one in required if one.kind is not one.KEYWORD_ONLY]
    named = [one.name for one in required if one.kind is one.KEYWORD_ONLY]
    try:
        inspect.signature(function).bind(*positional, **dict.fromkeys(named))
    except TypeError as error:
        raise ConfigurationError(f"calls= of a fake of {definition.name} can't take its arguments: {error}") from None
    except ValueError:
        # Some builtins have no signature.
        return


_ANSWERS: dict[str, Callable[[Definition, Any], Answer]] = {
    "returns": _returning,
    "raises": _raising,
    "calls": _calling,
}


class Fakes:
    """The fakes of one cloud. Of several for one function, the one that was made last counts.

    ``definitions``: what stands in, by the functions' names. ``promise`` tells whose code is running.
    """

    def __init__(self, promise: Callable[[], str]) -> None:
        self.definitions: dict[str, Definition] = {}
        self._promise = promise
        self._open: list[Fake] = []

    def open(self, fake: Fake) -> None:
        fake._ended.append(self._close)
        self._open.append(fake)
        self._arrange()

    def standing_in(self, fake: Fake) -> Definition:
        """The function's definition with the fake's answer in place of the body."""
        return _standing_in(fake, self._promise)

    def clear(self) -> None:
        self._open.clear()
        self._arrange()

    def _close(self, fake: Fake) -> None:
        if fake in self._open:
            self._open.remove(fake)
            self._arrange()

    def _arrange(self) -> None:
        self.definitions.clear()
        self.definitions.update({fake.definition.name: _standing_in(fake, self._promise) for fake in self._open})


def _standing_in(fake: Fake, promise: Callable[[], str]) -> Definition:
    """The function's definition, but for its body. It is async if the body is: the engine runs the two kinds apart."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        fake.see(promise(), args, kwargs)
        return fake.answer(*args, **kwargs)

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        answered = plain(*args, **kwargs)
        return await answered if inspect.isawaitable(answered) else answered

    return replace(fake.definition, function=coroutine if fake.definition.is_async else plain)
