"""What durable code may call beside durable functions: inline steps, external promises, time and randomness."""

from __future__ import annotations

import contextvars
import datetime as dt
import functools
import uuid as uuid_module
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar, overload

from adapter.api.durable import Durable
from adapter.api.requests import deadline, scope_of, seconds
from adapter.codec import Signature, decode
from adapter.engine.hosts import storable
from adapter.errors import CodecError
from adapter.protocol.records import Kind, digest_of
from adapter.protocol.times import datetime_of
from adapter.replay.steps import Promise, Request

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@overload
def run(function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> Promise[R]: ...
@overload
def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Promise[R]: ...
def run(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Promise[Any]:
    """An inline step: run a callable here, in this Lambda, and record its outcome with one write.

    It begins when the caller next awaits, and sees the context variables as the caller set them. If the Lambda dies
    before the outcome is recorded, the step runs again.

    Raises:
        NotDurable: called outside of an async durable function.
    """
    scope = scope_of("run(...)")
    plain = function.definition.function if isinstance(function, Durable) else function
    name = f"{getattr(plain, '__module__', '')}:{getattr(plain, '__qualname__', type(plain).__qualname__)}"
    signature = Signature(plain, name)
    described = _describe(signature, args, kwargs)
    return scope.request(
        Request(
            kind=Kind.INLINE,
            fn=name,
            args=described,
            digest=digest_of(Kind.INLINE, name, described),
            decode=signature.decode_result,
            inline=functools.partial(plain, *args, **kwargs),
            context=contextvars.copy_context(),
            encode=lambda value: storable(signature.encode_result(value), f"the result of {name}"),
        )
    )


def _describe(signature: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The arguments as a replay compares them. They never travel, so one that can't be encoded counts by its class."""
    try:
        return signature.encode_args(args, kwargs)
    except CodecError:
        named = (f"{key}={type(value).__qualname__}" for key, value in kwargs.items())
        return ", ".join([*(type(value).__qualname__ for value in args), *named])


@overload
def promise(type_: type[T], /, *, timeout: float | None = None) -> Promise[T]: ...
@overload
def promise(type_: Any = ..., /, *, timeout: float | None = None) -> Promise[Any]: ...
def promise(type_: Any = Any, /, *, timeout: float | None = None) -> Promise[Any]:
    """A promise that is settled from outside, with a value of this type: hand out its ``id``.

    Args:
        timeout: seconds after which it is settled as timed out: awaiting it raises PromiseTimeout.

    Raises:
        NotDurable: called outside of an async durable function.
        ConfigurationError: ``timeout`` isn't a positive number.
    """
    name = getattr(type_, "__qualname__", str(type_))
    scope = scope_of("promise(...)")
    from adapter.codec.schemas import schema_text  # Imported late: most functions have no such promises.

    return scope.request(
        Request(
            kind=Kind.EXTERNAL,
            fn=name,
            # The schema is for people and systems that settle the promise without its type. A replay doesn't compare
            # it, since a type may grow.
            args=schema_text(type_),
            digest=digest_of(Kind.EXTERNAL, name, ""),
            decode=lambda text: decode(text, type_, where=f"the value of an external promise ({name})"),
            deadline=deadline(scope, seconds(timeout)),
        )
    )


def now() -> dt.datetime:
    """The time of the last delivery, aware, in UTC. It is the same at every replay."""
    return datetime_of(scope_of("now()").now())


def uuid4() -> uuid_module.UUID:
    """A random UUID that is the same at every replay and every attempt, so it can serve as an idempotency key."""
    return scope_of("uuid4()").uuid4()


def random() -> float:
    """A random number in [0, 1) that is the same at every replay."""
    return scope_of("random()").random()
